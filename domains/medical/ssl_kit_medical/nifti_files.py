"""Reads slices of one anatomical plane from NIfTI, Analyze and MGH files with nibabel."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from ssl_kit import DataError, Image
from ssl_kit.data import evenly_spaced, file_version

from . import itk_files
from .squares import resized, square_size

nib.imageglobals.logger.setLevel(logging.CRITICAL)  # it prints which headers it corrects

_ANALYZE = "left, front and top"  # what nibabel takes axes for
_RGB = np.dtype([(name, "u1") for name in "RGB"])
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # world axis (right, anterior, superior) across
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
        raise DataError("is no volume that nibabel can read") from None
    except FileNotFoundError:
        raise DataError("has no voxels: they belong into a second file of its name") from None
    except ModuleNotFoundError as error:
        raise DataError(f"needs another package: pip install {error.name}") from None
    except OSError as error:
        raise DataError(f"{failure}: {error.strerror or 'it ends too soon'}") from None
    except Exception as error:  # noqa: BLE001  nibabel may raise anything
        raise DataError(f"{failure} ({type(error).__name__})") from None


class _Source(NamedTuple):
    """Voxels that are read when they are needed, and what the header says of them."""

    data: Any
    shape: list[int]
    dtype: np.dtype[Any]
    affine: NDArray[np.float64]
    spacing: Sequence[float]
    assumed: str


class Volume:
    """One file. Slices are counted from the right, back or bottom of the body.

    A file with one slice only gives this slice, in whatever plane it is.

    Args:
        path: Path of a NIfTI, Analyze, MGH, NRRD or MetaImage file.
        plane: Name of the plane of the slices.

    Attributes:
        slices: Number of slices.
        times: Number of volumes; more than one in a functional file.
        color: Whether its voxels are colors.
        assumed: What its axes are taken for, "" if the file says how the body lies in it.
        in_plane: Whether the slices are in the plane that was asked for.

    Raises:
        DataError: If the file cannot be used; the message gives the reason.
    """

    def __init__(self, path: Path, plane: str) -> None:
        with _explained("has a damaged header"):
            itk = path.suffix.lower() in itk_files.SUFFIXES
            source = _open_itk(path) if itk else _open_nibabel(path)
            self._data, self._type, self.assumed = source.data, source.dtype, source.assumed
            self._dimensions = len(source.shape)
            self._shape = source.shape + [1] * (4 - len(source.shape))
            self.color = source.dtype.names is not None
            self._axes(source.affine, PLANES[plane])
            sides = [abs(float(side)) for side in (*source.spacing, 1.0, 1.0)]
            height, width = self._shape[self._rows], self._shape[self._columns]
            self._size = square_size(height, width, (sides[self._rows], sides[self._columns]))
        self.slices, self.times = self._shape[self._axis], self._shape[3]

    def _axes(self, affine: NDArray[np.float64], across: int) -> None:
        """Finds the axes of the body among the axes of the array."""
        world, self._sign = nib.io_orientation(affine).T  # type: ignore[no-untyped-call]
        if np.isnan(world).any():
            world, self._sign = np.arange(3.0), np.ones(3)
            self.assumed = _ANALYZE
        self._axis = world.tolist().index(across)
        flat = [axis for axis in range(3) if self._shape[axis] == 1]
        self.in_plane = flat in ([], [self._axis]) or len(flat) > 1
        self._axis = self._axis if self.in_plane else flat[0]
        # Rows from top or front down, columns from the patient's right or front: both descend.
        in_plane = [axis for axis in range(3) if axis != self._axis]
        self._rows, self._columns = sorted(in_plane, key=lambda axis: -world[axis])

    def read(self, number: int, time: int) -> Image:
        """Reads a slice as a radiologist looks at it, in square pixels.

        Only the slice is read, or inflated from the nearest known place before it.

        Returns:
            (H, W, 1) float32, or (H, W, 3) uint8 of colors.
        """
        last = self.slices - 1
        with _explained("is damaged or cut off"):
            values = self._cut(number if self._sign[self._axis] > 0 else last - number, time)
            values = np.abs(values) if np.iscomplexobj(values) else values
        values = values if self._rows < self._columns else values.T
        down, right = (-1 if self._sign[axis] > 0 else 1 for axis in (self._rows, self._columns))
        values = values[::down, ::right]
        if self.color:
            image = np.stack([values[name] for name in "RGB"], axis=2)
        else:
            image = np.ascontiguousarray(values, dtype=np.float32)[..., None]
        return resized(image, self._size)

    def stored_slices(self, most: int) -> Iterator[NDArray[Any]]:
        """Yields some slices (H, W) along the last axis of the file, the one in the middle first.

        Raises:
            DataError: If the file is damaged.
        """
        last = self._shape[2] - 1
        for number in (last // 2, *evenly_spaced(last + 1, most).tolist()):
            with _explained("is damaged or cut off"):
                yield self._at((slice(None), slice(None), number), 0)

    def _at(self, where: tuple[Any, ...], time: int) -> NDArray[Any]:
        """Returns a part of the volume at a time."""
        later = [time] + [0] * self._dimensions
        return np.asarray(self._data[(*where, *later)[: self._dimensions]])

    def _cut(self, at: int, time: int) -> NDArray[Any]:
        """Returns a slice across an axis, its own axes in the file's order."""
        where: list[Any] = [slice(None)] * 3
        where[self._axis] = at
        if self._axis:
            return self._at(tuple(where), time)
        # Across the axis whose voxels lie side by side: reading plane by plane is far quicker than
        # voxel by voxel, and no larger.
        dtype = self._type if self.color else np.result_type(self._type, np.float32)
        across = np.empty(self._shape[1:3], dtype)
        for z in range(self._shape[2]):
            across[:, z] = self._at((slice(None), slice(None), z), time)[at]
        return across


def _open_itk(path: Path) -> _Source:
    voxels = itk_files.open_itk(path)
    _check_shape(list(voxels.shape))
    return _Source(
        voxels,
        list(voxels.shape),
        voxels.dtype,
        voxels.affine,
        voxels.spacing,
        "" if voxels.oriented else "left, back and top",
    )


def _open_nibabel(path: Path) -> _Source:
    file_version(path)  # that it is there, and not empty
    if path.suffix.lower() in (".mgh", ".mgz"):
        _check_mark(path)
    image: Any = nib.load(path)
    voxels = Path(image.file_map["image"].filename)
    if not voxels.is_file():
        raise FileNotFoundError
    handle: Any = getattr(image.dataobj, "file_like", None)
    if hasattr(handle, "close"):  # nibabel leaves the voxels of PAR/REC open
        handle.close()
        image.dataobj.file_like = str(voxels)
    shape, dtype = [int(n) for n in image.shape], image.get_data_dtype()
    if len(shape) == 5 and shape[3] == 1 and shape[4] in (3, 4) and dtype == np.uint8:
        return _open_colors(image, shape)
    _check_shape(shape)
    packed = voxels.suffix.lower() in (".gz", ".mgz", ".bz2", ".zst")
    _check_size(shape, dtype, voxels.stat().st_size, packed)
    spacing = image.header.get_zooms()[:3]
    return _Source(image.dataobj, shape, dtype, image.affine, spacing, _assumed(image))


def _assumed(image: Any) -> str:
    """Returns what the axes are taken for, "" if the file says it, which Analyze files never do."""
    if isinstance(image, nib.Nifti1Pair):
        oriented = bool(image.header["sform_code"] or image.header["qform_code"])
    else:
        oriented = not isinstance(image, nib.AnalyzeImage)
    return "" if oriented else _ANALYZE


@dataclass(frozen=True)
class _Colors:
    """Colors that lie along the fifth axis of a file, as voxels."""

    data: Any

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Returns a part of the voxels."""
        parts = [np.asarray(self.data[(*where[:3], 0, number)]) for number in range(3)]
        colors = np.empty(parts[0].shape, _RGB)
        for name, part in zip("RGB", parts, strict=True):
            colors[name] = part
        return colors


def _open_colors(image: Any, shape: list[int]) -> _Source:
    spacing = image.header.get_zooms()[:3]
    voxels = _Colors(image.dataobj)
    return _Source(voxels, shape[:3], _RGB, image.affine, spacing, _assumed(image))


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


def _check_shape(shape: list[int]) -> None:
    """Refuses what is neither a slice nor a volume nor a series of volumes."""
    if len(shape) < 2 or math.prod(shape[4:]) > 1 or min(shape) < 1:
        raise DataError(f"its shape {shape} is no slice, no volume, nor a series of volumes")


def _check_size(shape: list[int], dtype: np.dtype[Any], size: int, packed: bool) -> None:
    """Compares the shape in a header with the size of the file."""
    if dtype.kind not in "iufc" and dtype.names is None:
        raise DataError("its voxels are no numbers")
    needed = math.prod(shape) * dtype.itemsize
    if needed > size * (_DENSEST if packed else 1):
        raise DataError(f"is cut off: its voxels take {needed} bytes, the file has {size}")
