"""NIfTI and MGH volumes, cut into slices along a direction of the body."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Image
from ssl_kit.data import keep_open, parents_of

from .dicom_headers import code
from .nifti_files import Volume, write_nifti
from .volumes import Parts, VolumeConfig, Volumes

Ints = NDArray[np.int64]
_ONE = np.zeros(1, np.int64)  # number and time of the slice that stands for a faulty file


class NiftiConfig(VolumeConfig):
    """Options of the NIfTI reader."""

    plane: Annotated[
        Literal["axial", "coronal", "sagittal"], Field(description="anatomical plane of the slices")
    ] = "axial"
    margin: Annotated[
        float,
        Field(ge=0, lt=0.5, description="share of the slices that is left out at each end"),
    ] = 0.0


class Nifti(Volumes):
    """NIfTI-1, NIfTI-2 and MGH, deflated too; 3-D, or 4-D with each time a volume.

    Slices have the radiological orientation, by the file's affine. The group is the subject
    where names follow BIDS (sub-01), else the file.
    """

    Config = NiftiConfig
    options: NiftiConfig
    suffixes = (".nii", ".nii.gz", ".mgh", ".mgz")
    kind = "volumes"

    def prepare(self) -> None:
        """Reads the header of each file, no voxels."""
        super().prepare()
        parts = self._cut()
        self._choose_channels(np.zeros(len(parts.file), bool))
        self._scale_by("volume")
        self._lay_out(parts)

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes a deflated volume of one subject, and a series of three of another."""
        rng = np.random.default_rng(0)
        shapes = {"sub-01_T1w.nii.gz": (20, 24, 6), "sub-02_bold.nii": (12, 10, 4, 3)}
        for name, shape in shapes.items():
            write_nifti(folder / name, rng.integers(0, 2000, shape, np.int16))
        return folder

    def _cut(self) -> Parts:
        """Returns the slices of all files, and one for each file that cannot be used."""
        slices = self.inspect(self._slices)
        names = [self.files.key(file) for file in range(len(self.files))]
        of_files = [slices.get(file, (_ONE, _ONE)) for file in range(len(names))]
        file = parents_of([number for number, _ in of_files])
        number, time = (np.concatenate(each) for each in zip(*of_files, strict=True))
        subjects = [_entity(name, "sub") for name in names]
        visits = [
            code(subject, _entity(name, "ses")) if subject else code(name)
            for name, subject in zip(names, subjects, strict=True)
        ]
        return Parts(
            keys=[
                f"{name}#{place}"
                for name, pair in zip(names, of_files, strict=True)
                for place in _places(*pair)
            ],
            file=file,
            part=time * 2**15 + number,  # no side of a volume is longer than 2^15 - 1
            study=np.array(visits)[file],
            volume=file * 2**15 + time,
            place=number.astype(np.float64),
            groups=subjects,
        )

    def _slices(self, file: int) -> tuple[Ints, Ints]:
        """Returns number and time of each slice of a file."""
        volume = Volume(self.path_of(file), self.options.plane)
        left_out = int(self.options.margin * volume.slices)
        number = np.arange(left_out, volume.slices - left_out)
        return np.tile(number, volume.times), np.repeat(np.arange(volume.times), len(number))

    def values(self, i: int) -> Image:
        """Returns slice i, (H, W, 1) float32."""
        file = int(self._file[i])
        self.refuse_faulty(file)
        time, number = divmod(int(self._part[i]), 2**15)
        return _volume(self.path_of(file), self.options.plane).read(number, time)


@keep_open(16)  # headers, and indices into deflated data
def _volume(path: Path, plane: str) -> Volume:
    return Volume(path, plane)


def _places(number: Ints, time: Ints) -> list[str]:
    """Returns "3", or "3,0" where there are several times."""
    pairs = zip(number.tolist(), time.tolist(), strict=True)
    return [f"{n},{t}" if time.any() else f"{n}" for n, t in pairs]


def _entity(name: str, entity: str) -> str:
    """Returns an entity of a BIDS name, such as sub-01; "" if it has none."""
    match = re.search(rf"(?:^|[/_])({entity}-[0-9A-Za-z]+)(?=[/_.])", name)
    return match.group(1) if match else ""
