"""DICOM: single files, series, multi-frame objects; one image is one frame."""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import DataError, Image, Index, UsageError
from ssl_kit.data import file_path, index_files, walk

from .dicom_files import Header, code, read_frame, read_header
from .dicom_writing import write_dicom
from .volumes import Parts, VolumeConfig, Volumes, slice_names

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
_ONE_FRAME = Header(1, False, False, False, 0, 0, 0, 0.0)  # of a file that cannot be used
_log = logging.getLogger("ssl_kit")


class DicomConfig(VolumeConfig):
    """Options of the DICOM reader."""

    channels: Annotated[
        Literal["auto", "gray", "rgb"],
        Field(description="channels of an image (auto: as most images)"),
    ] = "auto"
    group: Annotated[
        Literal["patient", "study"],
        Field(description="group that splits must not divide"),
    ] = "patient"
    modality: Annotated[
        str,
        Field(description="modality of the images, such as CT or MR (default: all)"),
    ] = ""


class Dicom(Volumes):
    """DICOM of all common transfer syntaxes; RGB, YCbCr, palette color and gray.

    Gray values are rescaled to physical units; MONOCHROME1 is inverted, padding becomes black.
    If some files of a folder end in .dcm, .dicom or .ima, these are read; else all files that start
    as DICOM files, whatever their names. Files without an image are left out. The group is the
    patient, by a hash of the identifier, or the study if there is no identifier.
    """

    Config = DicomConfig
    options: DicomConfig
    suffixes = (".dcm", ".dicom", ".ima")
    rivals = (".jpg", ".jpeg", ".png")
    kind = "DICOM files"

    def prepare(self) -> None:
        """Reads the header of each file, no pixels."""
        super().prepare()
        table = self._look()
        self._lay_out(self._cut(table))
        self._choose(np.delete(table, list(self.faults)))

    def find_files(self) -> Index:
        """Returns the index of the DICOM files, by their endings or by how they start."""
        try:
            return super().find_files()
        except DataError as error:
            files = index_files(self.path, ("",), self.labels_table)
            kept = [
                i for i in range(len(files)) if starts_as_dicom(file_path(self.path, files.key(i)))
            ]
            if not kept:
                raise error
        return files.take(kept)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a DICOM file, or a folder with more of them than pictures."""
        if not path.is_dir():
            return starts_as_dicom(path) or path.suffix.lower() in cls.suffixes
        first = [path / key for key in islice(walk(path), _LOOKED_AT)]
        pictures = sum(file.suffix.lower() in cls.rivals for file in first)
        return sum(cls._may_be_dicom(file) for file in first) > pictures

    @classmethod
    def _may_be_dicom(cls, path: Path) -> bool:
        suffix = path.suffix.lower()
        if suffix in cls.suffixes:
            return True
        return not suffix.strip(".0123456789") and starts_as_dicom(path)  # 1.2.840.10008 is a name

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

    def _look(self) -> NDArray[Any]:
        """Returns a row for each file, with no frames where the file is left out."""
        modality = self.options.modality
        headers = self.inspect(lambda file: read_header(self.path_of(file), modality))
        table = np.zeros(len(self.files), _ROW)
        for file in range(len(table)):
            header = headers.get(file, _ONE_FRAME)
            if header is not None:
                table[file] = tuple(header)
        left_out = int((table["frames"] == 0).sum())
        if left_out:
            _log.info("Left out: %d files without an image of the kind asked for.", left_out)
        usable = [file for file, header in headers.items() if header is not None]
        self.refuse_if_all_fail(usable)
        if not usable:
            raise DataError(
                f"None of the {len(table)} DICOM files in '{self.path}' has an image to use."
            )
        return table

    def _cut(self, table: NDArray[Any]) -> Parts:
        """Returns the frames of all files; frames of one object are a volume in their order."""
        frames = table["frames"]
        file = np.repeat(np.arange(len(table)), frames)
        part = np.arange(len(file)) - np.repeat(np.cumsum(frames) - frames, frames)
        alone = np.array([code(key.decode(errors="replace")) for key in self.files.keys])
        study = np.where(table["study"], table["study"], alone)
        group = table[self.options.group]
        several = frames[file] > 1
        names = [self.files.key(i) for i in range(len(table))]
        numbered = zip(file.tolist(), part.tolist(), several.tolist(), strict=True)
        return Parts(
            keys=[f"{names[i]}#{n}" if more else names[i] for i, n, more in numbered],
            file=file,
            part=part,
            study=study[file],
            volume=np.where(table["volume"], table["volume"], alone)[file],
            place=np.where(several, part, table["place"][file]),
            groups=[f"{number:016x}" if number else "" for number in group.tolist()],
        )

    def _choose(self, table: NDArray[Any]) -> None:
        """Decides on channels and scaling from what most images are."""
        table = table[table["frames"] > 0]
        frames, color = table["frames"], table["color"]
        most = (frames * color).sum() * 2 > frames.sum()
        kind = self.options.channels
        self._rgb = most if kind == "auto" else kind == "rgb"
        count, window = self.options.slices, self.options.window
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
        self.refuse_faulty(file)
        image = read_frame(self.path_of(file), int(self._part[i]))
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
