"""DICOM: single files, series, multi-frame objects; one image is one frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import DataError, Image, Index
from ssl_kit.data import agree, file_path, index_files, plural, walk

from .dicom_files import read_frame, read_header
from .dicom_headers import Header, code
from .dicom_writing import write_dicom
from .patients import remark_on_patients
from .volumes import Parts, VolumeConfig, Volumes

_LOOKED_AT = 1000  # entries of a folder that decide whether it is one of DICOM files
_ROW = np.dtype(
    [
        ("frames", "i4"),
        ("color", "?"),
        ("plain", "?"),
        ("ct", "?"),
        ("labels", "?"),
        ("contradicts", "?"),
        ("nobody", "?"),
        ("patient", "i8"),
        ("person", "i8"),
        ("study", "i8"),
        ("volume", "i8"),
        ("place", "f8"),
    ]
)


class DicomConfig(VolumeConfig):
    """Options of the DICOM reader."""

    group: Annotated[
        Literal["patient", "study"],
        Field(description="group that splits must not divide"),
    ] = "patient"
    modality: Annotated[
        str,
        Field(description="modality of the images, such as CT or MR (default: all)"),
    ] = ""
    polarity: Annotated[
        Literal["photometric", "shape"],
        Field(
            description="what tells which values are bright where the header contradicts itself: "
            "PhotometricInterpretation or PresentationLUTShape"
        ),
    ] = "photometric"


class Dicom(Volumes):
    """DICOM of all common transfer syntaxes; RGB, YCbCr, palette color and gray.

    Gray values are rescaled to physical units, frame by frame; MONOCHROME1 is inverted, padding
    becomes black, and pixels become square. Segmentations are left out beside their images.
    If some files of a folder end in .dcm, .dicom or .ima, these are read; else all files that start
    as DICOM files, whatever their names. Files without an image are left out. The group is the
    patient, by a hash of the identifier, or the study if there is no identifier.
    """

    Config = DicomConfig
    options: DicomConfig
    suffixes = (".dcm", ".dicom", ".ima")
    rivals = (".jpg", ".jpeg", ".png", ".nii", ".nii.gz", ".mgh", ".mgz", ".nrrd", ".mha", ".mhd")
    kind = "DICOM files"
    _identity = "PatientID or study in the headers"

    def prepare(self) -> None:
        """Reads the header of each file, no pixels."""
        super().prepare()
        self._frames: dict[int, Header] = {}  # of files that say where each frame is
        table = self._look()
        self._choose(np.delete(table, list(self.faults)))
        parts = self._cut(table)
        self._say_what_is_assumed(table)
        self._lay_out(parts)

    def find_files(self) -> Index:
        """Returns the index of the DICOM files, by their endings or by how they start."""
        try:
            return super().find_files()
        except DataError as error:
            files = index_files(self.path, ("",), self.labels)
            kept = [
                i for i in range(len(files)) if starts_as_dicom(file_path(self.path, files.key(i)))
            ]
            if not kept:
                raise error
        return files.take(kept)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a DICOM file, or a folder with more of them than others."""
        if not path.is_dir():
            return starts_as_dicom(path) or path.suffix.lower() in cls.suffixes
        first = [path / key for key in islice(walk(path), _LOOKED_AT)]
        rivals = sum(file.name.lower().endswith(cls.rivals) for file in first)
        return sum(cls._may_be_dicom(file) for file in first) > rivals

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
            header = headers.get(file, Header())  # what cannot be used is one unreadable image
            if header is not None:
                table[file] = tuple(getattr(header, name) for name in _ROW.names or ())
            if header is not None and header.places:
                self._frames[file] = header
        no_images = int((table["frames"] == 0).sum())
        if no_images:
            self._remark(
                f"{plural(no_images, 'file')} without an image of the kind asked for "
                f"{agree(no_images, 'is', 'are')} left out."
            )
        usable = [file for file, header in headers.items() if header is not None]
        self.refuse_if_all_fail(usable)
        if not usable:
            raise DataError(
                f"None of the {len(table)} DICOM files in '{self.path}' has an image to use."
            )
        if modality != "SEG":
            self._leave_out_segmentations(table)
        return table

    def _leave_out_segmentations(self, table: NDArray[Any]) -> None:
        """Leaves out the segmentations of images that are there too."""
        images = table[(table["frames"] > 0) & ~table["labels"]]
        beside = np.isin(table["study"], images["study"]) | np.isin(
            table["patient"], images["patient"]
        )
        known = (table["study"] > 0) | (table["patient"] > 0)
        masks = table["labels"] & beside & known & (not self.labels.masks)
        table["frames"][masks] = 0
        if masks.any():
            self._remark(
                f"{plural(int(masks.sum()), 'segmentation')} beside the images "
                f"{agree(int(masks.sum()), 'is', 'are')} left out; "
                "--set data.masks=true includes them."
            )
        alone = int((table["labels"] & ~masks).sum())
        if alone:
            self._remark(
                f"{plural(alone, 'segmentation')} {agree(alone, 'is', 'are')} read as images "
                "because no image of "
                "the same study or patient is there; data.options.modality chooses the images."
            )

    def _cut(self, table: NDArray[Any]) -> Parts:
        """Returns the frames of all files; frames of one object are a volume in their order."""
        frames = table["frames"]
        file = np.repeat(np.arange(len(table)), frames)
        part = np.arange(len(file)) - np.repeat(np.cumsum(frames) - frames, frames)
        alone = np.array([code(key.decode(errors="replace")) for key in self.files.keys])
        study = np.where(table["study"], table["study"], alone)
        group = table[self.options.group]
        several = frames[file] > 1
        volume = np.where(table["volume"], table["volume"], alone)[file]
        place = np.where(several, part, table["place"][file])
        first = np.cumsum(frames) - frames
        for i, header in self._frames.items():
            if frames[i]:
                its = slice(first[i], first[i] + frames[i])
                place[its] = header.places
                volume[its] = [code(volume[first[i]], stack) for stack in header.stacks]
        names = [self.files.key(i) for i in range(len(table))]
        numbered = zip(file.tolist(), part.tolist(), several.tolist(), strict=True)
        return Parts(
            keys=[f"{names[i]}#{n}" if more else names[i] for i, n, more in numbered],
            file=file,
            part=part,
            study=study[file],
            volume=volume,
            place=place,
            groups=[f"{number:016x}" if number else "" for number in group.tolist()],
        )

    def _choose(self, table: NDArray[Any]) -> None:
        """Decides on channels and scaling from what most images are."""
        table = table[table["frames"] > 0]
        color, self._ct = table["color"], table["ct"].tolist()
        self._choose_channels(np.repeat(color, table["frames"]))
        plain, units = table["plain"].all(), table["ct"].all() and not color.any()
        self._scale_by("bytes" if self._rgb or plain else "dataset" if units else "volume")

    def _are_ct(self) -> tuple[Sequence[bool], bool]:
        return self._ct, True

    def _say_what_is_assumed(self, table: NDArray[Any]) -> None:
        """Adds remarks on headers that can be understood in two ways."""
        declared = np.array([bool(self.declared_group(file)) for file in range(len(table))])
        table, declared = table[table["frames"] > 0], declared[table["frames"] > 0]
        count = int(table["contradicts"].sum())
        if count:
            names = ["PhotometricInterpretation", "PresentationLUTShape"]
            options = ["photometric", "shape"]
            chosen = options.index(self.options.polarity)
            self._remark(
                f"{plural(count, 'file')} "
                f"{agree(count, 'contradicts itself', 'contradict themselves')} on which values "
                "are bright, such as "
                f"MONOCHROME2 with PresentationLUTShape INVERSE: {names[chosen]} is followed; "
                f"--set data.options.polarity={options[1 - chosen]} follows {names[1 - chosen]}."
            )
        sentence = (
            remark_on_patients(table[~declared], self.options.group) if not declared.all() else ""
        )
        if sentence:
            self._remark(sentence)

    def values(self, i: int) -> Image:
        """Returns frame i, (H, W, 1) or (H, W, 3)."""
        file = int(self._file[i])
        self.refuse_faulty(file)
        by_shape = self.options.polarity == "shape"
        return self._in_channels(read_frame(self.path_of(file), int(self._part[i]), by_shape))


def starts_as_dicom(path: Path) -> bool:
    """Tells whether a file has a preamble and the mark "DICM"."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
