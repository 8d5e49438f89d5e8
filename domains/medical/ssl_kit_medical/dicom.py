"""DICOM: single files, series, multi-frame objects; one image is one frame."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from ssl_kit import DataError, Image, Index, UsageError
from ssl_kit.data import file_path, index_files

from .dicom_files import Header, code, read_frame, read_header
from .dicom_writing import write_dicom
from .volumes import Parts, VolumeConfig, Volumes, slice_names

SUFFIXES = (".dcm", ".dicom", ".ima")
_PICTURES = (".jpg", ".jpeg", ".png")
_RGB = ("red", "green", "blue")
_LOOKED_AT = 1000  # entries of a folder that decide whether it is one of DICOM files
_ROW = np.dtype(
    [
        ("frames", "i4"),
        ("color", "?"),
        ("plain", "?"),
        ("ct", "?"),
        ("patient", "i8"),
        ("study", "i8"),
        ("volume", "i8"),
        ("place", "f8"),
    ]
)
_log = logging.getLogger("ssl_kit")


class DicomConfig(VolumeConfig):
    """Options of the DICOM reader."""

    channels: Annotated[
        Literal["auto", "gray", "rgb"], Field(description="auto is what most of the images are")
    ] = "auto"
    group: Annotated[
        Literal["patient", "study"], Field(description="what train and test must not share")
    ] = "patient"
    modality: Annotated[
        str, Field(description="only images of this modality (CT, MR, CR, ...); all if left out")
    ] = ""


class Dicom(Volumes):
    """DICOM of all common transfer syntaxes; RGB, YCbCr, palette color and gray.

    Gray values are rescaled to physical units; MONOCHROME1 is inverted, padding becomes black.
    A folder in which some files end in .dcm, .dicom or .ima is taken by these; in any other, every
    file that starts as a DICOM file is taken, whatever its name. What holds no image is left out.
    The group is the patient, by a hash of the identifier; or the study where there is none.
    """

    Config = DicomConfig

    def __init__(
        self,
        path: Path,
        options: DicomConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(options, value_range)
        self._root, self._asked = path, options
        self._files = _index(path, labels)
        table, self._broken = self._look()
        self._lay_out(
            self._files,
            self._cut(table),
            declared=bool(labels) or (path / "labels.csv").is_file(),
        )
        self._choose(np.delete(table, list(self._broken)))

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a DICOM file, or a folder with more of them than pictures."""
        if not path.is_dir():
            return starts_as_dicom(path) or path.suffix.lower() in SUFFIXES
        seen = list(itertools.islice(path.rglob("*"), _LOOKED_AT))
        pictures = sum(file.suffix.lower() in _PICTURES for file in seen)
        return sum(_looks_right(file) for file in seen) > pictures

    @classmethod
    def open(
        cls,
        path: Path,
        options: DicomConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Dicom:
        """Reads the header of each file, no pixels."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes a series of three slices, and two frames of another patient."""
        rng = np.random.default_rng(0)
        for z in range(3):
            pixels = rng.integers(-1000, 1000, (24, 20), np.int16)
            write_dicom(folder / f"{z}.dcm", pixels, PatientID="1", SliceLocation=2.5 * z)
        frames = rng.integers(-1000, 1000, (2, 16, 20), np.int16)
        write_dicom(folder / "frames.dcm", frames, PatientID="2", SeriesInstanceUID="1.2.3.5")
        return folder

    def _look(self) -> tuple[NDArray[Any], dict[int, str]]:
        """Returns a row per file, with no frames where it is left out; and why files are broken."""
        table, broken = np.zeros(len(self._files), _ROW), dict[int, str]()
        for i in range(len(self._files)):
            try:
                found = read_header(self._path(i), self._asked.modality)
            except DataError as error:
                broken[i] = str(error)
                found = Header(1, False, False, False, 0, 0, 0, 0.0)
            if found is not None:
                table[i] = tuple(found)
        left_out = int((table["frames"] == 0).sum())
        if left_out:
            _log.info("Left out: %d files without an image of the kind asked for.", left_out)
        if left_out + len(broken) == len(table):
            first = next(iter(broken), 0)
            why = f"; '{self._files.key(first)}' {broken[first]}" if broken else ""
            raise DataError(
                f"None of the {len(table)} DICOM files in '{self._root}' has an image to use{why}."
            )
        return table, broken

    def _path(self, file: int) -> Path:
        return file_path(self._root, self._files.key(file))

    def _cut(self, table: NDArray[Any]) -> Parts:
        """Returns what frames there are. Frames of one object are a volume in their order."""
        frames = table["frames"]
        file = np.repeat(np.arange(len(table)), frames)
        part = np.arange(len(file)) - np.repeat(np.cumsum(frames) - frames, frames)
        own = np.array([code(key.decode(errors="replace")) for key in self._files.keys])
        study = np.where(table["study"], table["study"], own)
        group = table[self._asked.group]
        several = frames[file] > 1
        names = [self._files.key(i) for i in range(len(table))]
        numbered = zip(file.tolist(), part.tolist(), several.tolist(), strict=True)
        return Parts(
            keys=[f"{names[i]}#{n}" if more else names[i] for i, n, more in numbered],
            file=file,
            part=part,
            study=study[file],
            volume=np.where(table["volume"], table["volume"], own)[file],
            place=np.where(several, part, table["place"][file]),
            groups=[f"{number:016x}" if number else "" for number in group.tolist()],
        )

    def _choose(self, table: NDArray[Any]) -> None:
        """Decides on channels and scaling from what most images are."""
        table = table[table["frames"] > 0]
        frames, color = table["frames"], table["color"]
        most = (frames * color).sum() * 2 > frames.sum()
        kind = self._asked.channels
        self._rgb = most if kind == "auto" else kind == "rgb"
        count, window = self._asked.slices, self._asked.window
        if self._rgb and (count > 1 or window not in ("auto", "volume")):
            raise UsageError(
                "The images are in color: data.options.slices and data.options.window are for "
                "gray ones. Leave them out, or give data.options.channels gray."
            )
        self.channels = _RGB if self._rgb else slice_names(count)
        plain, units = table["plain"].all(), table["ct"].all() and not color.any()
        self._scale_by("bytes" if self._rgb or plain else "dataset" if units else "volume")

    def values(self, i: int) -> Image:
        """Returns frame i, (H, W, 1) or (H, W, 3)."""
        file = int(self._file[i])
        if file in self._broken:
            raise DataError(self._broken[file])
        image = read_frame(self._path(file), int(self._part[i]))
        colored = image.shape[2] == 3
        if colored and not self._rgb:
            if self._scaling == "dataset":
                raise DataError("is in color where the others have physical values")
            return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        return np.repeat(image, 3, axis=2) if self._rgb and not colored else image


def starts_as_dicom(path: Path) -> bool:
    """Tells whether a file has a preamble and the mark "DICM"."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _looks_right(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    return not suffix.strip(".0123456789") and starts_as_dicom(path)  # 1.2.840.10008 is a name


def _index(path: Path, labels: Path | None) -> Index:
    """Indexes the DICOM files, by their endings or by how they start."""
    try:
        return index_files(path, SUFFIXES, labels)
    except DataError as error:
        everything = index_files(path, ("",), labels)
        kept = [
            i for i in range(len(everything)) if starts_as_dicom(file_path(path, everything.key(i)))
        ]
        if not kept:
            raise error
    return Index(
        keys=everything.keys[kept],
        labels=everything.labels[kept],
        classes=everything.classes,
        groups=everything.groups[kept],
        group_names=everything.group_names,
        splits=everything.splits[kept],
        positions=everything.positions[kept],
    )
