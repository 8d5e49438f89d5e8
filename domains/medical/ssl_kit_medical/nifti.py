"""NIfTI and MGH volumes, cut into slices along a direction of the body."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from ssl_kit import DataError, Image
from ssl_kit.data import file_path, index_files

from .dicom_files import code
from .nifti_files import Volume, write_nifti
from .volumes import Parts, VolumeConfig, Volumes, slice_names

SUFFIXES = (".nii", ".nii.gz", ".mgh", ".mgz")
Ints = NDArray[np.int64]
_OPEN = 16  # volumes whose header, and index into deflated data, are kept in each process


class NiftiConfig(VolumeConfig):
    """Options of the NIfTI reader."""

    plane: Annotated[
        Literal["axial", "coronal", "sagittal"], Field(description="of the slices")
    ] = "axial"
    margin: Annotated[
        float,
        Field(ge=0, lt=0.5, description="share of the slices left out at each end, often air"),
    ] = 0.0


class Nifti(Volumes):
    """NIfTI-1, NIfTI-2 and MGH, deflated too; 3-D, or 4-D with each time a volume.

    Slices are turned as a radiologist looks at them, by the file's affine. The group is the subject
    where names follow BIDS (sub-01), else the file.
    """

    Config = NiftiConfig

    def __init__(
        self,
        path: Path,
        options: NiftiConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> None:
        super().__init__(options, value_range)
        self._root, self._plane = path, options.plane
        self._files = index_files(path, SUFFIXES, labels)
        self._broken: dict[int, str] = {}
        parts = self._cut(options.margin)
        declared = bool(labels) or (path / "labels.csv").is_file()
        self._lay_out(self._files, parts, declared)
        self.channels = slice_names(options.slices)
        self._scale_by("volume")

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is such a file, or a folder with one somewhere."""
        files = path.rglob("*") if path.is_dir() else iter([path])
        return any(file.name.lower().endswith(SUFFIXES) for file in files)

    @classmethod
    def open(
        cls,
        path: Path,
        options: NiftiConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Nifti:
        """Reads the header of each file, no voxels."""
        return cls(path, options, labels, value_range)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes a deflated volume of one subject, and a series of three of another."""
        rng = np.random.default_rng(0)
        shapes = {"sub-01_T1w.nii.gz": (20, 24, 6), "sub-02_bold.nii": (12, 10, 4, 3)}
        for name, shape in shapes.items():
            write_nifti(folder / name, rng.integers(0, 2000, shape, np.int16))
        return folder

    def _path(self, file: int) -> Path:
        return file_path(self._root, self._files.key(file))

    def _cut(self, margin: float) -> Parts:
        """Returns what slices there are, and one for each file that cannot be used."""
        keys, counts, numbers, times, subjects, visits = [], [], [], [], [], []
        for each in range(len(self._files)):
            name = self._files.key(each)
            number, time = self._slices(each, margin)
            keys += [f"{name}#{place}" for place in _places(number, time)]
            counts.append(len(number))
            numbers.append(number)
            times.append(time)
            subject, visit = (_entity(name, part) for part in ("sub", "ses"))
            subjects.append(subject)
            visits.append(code(subject, visit) if subject else code(name))
        if len(self._broken) == len(self._files):
            raise DataError(
                f"None of the {len(self._files)} volumes in '{self._root}' can be used; "
                f"'{self._files.key(0)}' {self._broken[0]}."
            )
        file, time = np.repeat(np.arange(len(counts)), counts), np.concatenate(times)
        number = np.concatenate(numbers)
        return Parts(
            keys=keys,
            file=file,
            part=time * 2**15 + number,  # no side of a volume is longer than 2^15 - 1
            study=np.array(visits)[file],
            volume=file * 2**15 + time,
            place=number.astype(np.float64),
            groups=subjects,
        )

    def _slices(self, file: int, margin: float) -> tuple[Ints, Ints]:
        """Returns number and time of each slice of a file."""
        try:
            volume = Volume(self._path(file), self._plane)
        except DataError as error:
            self._broken[file] = str(error)
            return np.zeros(1, np.int64), np.zeros(1, np.int64)
        out = int(margin * volume.slices)
        number = np.arange(out, volume.slices - out)
        return np.tile(number, volume.times), np.repeat(np.arange(volume.times), len(number))

    def values(self, i: int) -> Image:
        """Returns slice i, (H, W, 1) float32."""
        file = int(self._file[i])
        if file in self._broken:
            raise DataError(self._broken[file])
        path = self._path(file)
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from None
        time, number = divmod(int(self._part[i]), 2**15)
        return _volume(path, self._plane, changed, os.getpid()).read(number, time)


@lru_cache(maxsize=_OPEN)
def _volume(path: Path, plane: str, changed: int, process: int) -> Volume:
    return Volume(path, plane)  # anew after a fork, whose files share their place


def _places(number: Ints, time: Ints) -> list[str]:
    """Returns "3", or "3,0" where there are several times."""
    pairs = zip(number.tolist(), time.tolist(), strict=True)
    return [f"{n},{t}" if time.any() else f"{n}" for n, t in pairs]


def _entity(name: str, entity: str) -> str:
    """Returns an entity of a BIDS name, such as sub-01; "" if it has none."""
    found = re.search(rf"(?:^|[/_])({entity}-[0-9A-Za-z]+)(?=[/_.])", name)
    return found.group(1) if found else ""
