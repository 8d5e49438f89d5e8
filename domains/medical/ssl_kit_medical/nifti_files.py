"""Reads slices of one anatomical plane from NIfTI and MGH files with nibabel."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from ssl_kit import DataError, Image
from ssl_kit.data import file_version

nib.imageglobals.logger.setLevel(logging.CRITICAL)  # it prints which headers it corrects

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # world axis (right, anterior, superior) across
_LARGEST = 2**28  # bytes of one slice
_THICKEST = 10.0  # largest ratio of the sides of a voxel that is used
_DENSEST = 1100  # largest compression ratio; deflate reaches 1032


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    """Turns any error of nibabel into one line that quotes nothing of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except ImageFileError:
        raise DataError("is no NIfTI or MGH file") from None
    except OSError as error:
        raise DataError(f"{failure}: {error.strerror or 'it ends too soon'}") from None
    except Exception as error:  # noqa: BLE001  nibabel may raise anything
        raise DataError(f"{failure} ({type(error).__name__})") from None


class Volume:
    """One file. Slices are counted from the right, back or bottom of the body.

    Args:
        path: .nii, .nii.gz, .mgh or .mgz.
        plane: Name of the plane of the slices.

    Attributes:
        slices: Number of slices.
        times: Number of volumes; more than one in a functional file.

    Raises:
        DataError: If the file cannot be used; the message gives the reason.
    """

    def __init__(self, path: Path, plane: str) -> None:
        with _explained("has a damaged header"):
            size = file_version(path)[1]
            if path.suffix in (".mgh", ".mgz"):
                _check_mark(path)
            image: Any = nib.load(path)
            self._data = image.dataobj
            shape = [int(n) for n in image.shape]
            _check_size(shape, image.get_data_dtype(), size, path.suffix in (".gz", ".mgz"))
            self._shape = shape + [1] * (4 - len(shape))
            self._extra = len(shape) - 3
            self._axes(image.affine, PLANES[plane])
            self._square(image.header.get_zooms()[:3])
        self.slices, self.times = self._shape[self._axis], self._shape[3]

    def _axes(self, affine: NDArray[np.float64], across: int) -> None:
        """Finds the axes of the body among the axes of the array."""
        world, self._sign = nib.io_orientation(affine).T  # type: ignore[no-untyped-call]
        if np.isnan(world).any():
            world, self._sign = np.arange(3.0), np.ones(3)
        self._axis = world.tolist().index(across)
        # Rows from top or front down, columns from the patient's right or front: both descend.
        in_plane = [axis for axis in range(3) if axis != self._axis]
        self._rows, self._columns = sorted(in_plane, key=lambda axis: -world[axis])

    def _square(self, spacing: Sequence[float]) -> None:
        """Finds the size of a slice in square pixels that are not larger than those of the file."""
        sides = [abs(float(spacing[axis])) for axis in (self._rows, self._columns)]
        known = all(math.isfinite(side) and side > 0 for side in sides)
        across = [side / min(sides) if known else 1.0 for side in sides]
        down, right = (min(ratio, _THICKEST) for ratio in across)
        height, width = self._shape[self._rows], self._shape[self._columns]
        self._size = round(width * right), round(height * down)
        if math.prod(self._size) * 8 > _LARGEST:
            raise DataError(f"declares slices of absurd size, {height} x {width}")

    def read(self, number: int, time: int) -> Image:
        """Reads a slice as a radiologist looks at it, in square pixels, (H, W, 1) float32.

        Only the slice is read, or inflated from the nearest known place before it.
        """
        last = self.slices - 1
        with _explained("is damaged or cut off"):
            values = self._cut(number if self._sign[self._axis] > 0 else last - number, time)
            values = np.abs(values) if np.iscomplexobj(values) else values
        values = values if self._rows < self._columns else values.T
        down, right = (-1 if self._sign[axis] > 0 else 1 for axis in (self._rows, self._columns))
        image: Image = np.ascontiguousarray(values[::down, ::right], dtype=np.float32)
        if self._size != image.shape[::-1]:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_LINEAR)
        return image[..., None]

    def _cut(self, at: int, time: int) -> NDArray[Any]:
        """Returns a slice across an axis, its own axes in the file's order."""
        later_axes = ([time] + [0] * self._extra)[: self._extra]
        where: list[Any] = [slice(None)] * 3
        where[self._axis] = at
        if self._axis:
            return np.asarray(self._data[(*where, *later_axes)])
        # Across the axis whose voxels lie side by side: reading plane by plane is far quicker than
        # voxel by voxel, and no larger.
        across = np.empty(self._shape[1:3], np.result_type(self._data.dtype, np.float32))
        for z in range(self._shape[2]):
            across[:, z] = self._data[(slice(None), slice(None), z, *later_axes)][at]
        return across


def write_nifti(
    path: Path, voxels: NDArray[Any], affine: NDArray[np.float64] | None = None
) -> None:
    """Writes a volume; without an affine its axes are those of the body, in mm."""
    image = nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine)  # type: ignore[no-untyped-call]
    nib.save(image, path)


def _check_mark(path: Path) -> None:
    """Refuses a file without the version number of MGH, which nibabel leaves open."""
    with ImageOpener(str(path), "rb") as file:
        if file.read(4) != b"\0\0\0\1":
            raise DataError("is no NIfTI or MGH file")


def _check_size(shape: list[int], dtype: np.dtype[Any], size: int, packed: bool) -> None:
    """Compares the shape in a header with the size of the file."""
    if dtype.kind not in "iufc":
        raise DataError("its voxels are colors, which this reader cannot use")
    if len(shape) < 3 or math.prod(shape[4:]) > 1 or min(shape) < 1:
        raise DataError(f"its shape {shape} is no volume, nor a series of volumes")
    needed = math.prod(shape) * dtype.itemsize
    if needed > size * (_DENSEST if packed else 1):
        raise DataError(f"is cut off: its voxels take {needed} bytes, the file has {size}")
