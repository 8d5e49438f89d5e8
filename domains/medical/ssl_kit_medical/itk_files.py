"""NRRD, MetaImage and GIPL volumes, read by SimpleITK, which is an optional dependency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError
from ssl_kit.data import keep_open

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".gipl")
_LARGEST = 2**31  # bytes of a volume; these are read whole
_DETACHED = (".nhdr", ".mhd")  # their voxels are in another file
_DENSEST = 1100  # largest compression ratio; deflate reaches 1032
_COLORS = "RGBA"
_HEADER = 2**16  # bytes, in which the header of a MetaImage ends


@dataclass(frozen=True)
class ItkVoxels:
    """Voxels of a file, which are read whole at first use; the axes are x, y, z, time.

    Attributes:
        path: The file.
        shape: Length of each axis.
        dtype: Number type; a structure of R, G, B and perhaps A for colors.
        affine: (4, 4) from voxels to right, anterior, superior in mm.
        spacing: Of the voxels along x, y and z in mm.
        oriented: Whether the file says how the body lies in it.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: NDArray[np.float64]
    spacing: tuple[float, ...]
    oriented: bool

    def __getitem__(self, where: Any) -> NDArray[Any]:
        """Returns a part of the voxels."""
        part: NDArray[Any] = _voxels(self.path)[where]
        return part


def _itk(path: Path) -> Any:
    """Imports SimpleITK."""
    try:
        itk = import_module("SimpleITK")
    except ImportError:
        raise DataError(
            f"ends in {path.suffix}, which SimpleITK reads: pip install 'ssl-kit-medical[itk]', or "
            "convert it to NIfTI, with 3D Slicer for example"
        ) from None
    itk.ProcessObject.GlobalWarningDisplayOff()  # its warnings quote headers
    return itk


def open_itk(path: Path) -> ItkVoxels:
    """Reads the header of a file.

    Raises:
        DataError: If SimpleITK is missing, or the file declares more than it holds.
        RuntimeError: If SimpleITK cannot read it; the message quotes the file.
    """
    itk = _itk(path)
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape, components = list(reader.GetSize()), reader.GetNumberOfComponents()
    one = itk.Image([1] * len(shape), reader.GetPixelID(), components)
    dtype = itk.GetArrayViewFromImage(one).dtype
    needed = math.prod(shape) * components * dtype.itemsize
    held = path.stat().st_size * _DENSEST
    if needed > _LARGEST or (needed > held and path.suffix.lower() not in _DETACHED):
        raise DataError(f"is cut off or too large: its voxels take {needed} bytes")
    if components in (3, 4) and dtype == np.uint8:
        dtype = np.dtype([(name, "u1") for name in _COLORS[:components]])
    elif components > 1:
        shape += [1] * (3 - len(shape)) + [components]
    affine, spacing = _geometry(reader)
    return ItkVoxels(path, tuple(shape), dtype, affine, spacing, _is_oriented(path, reader))


def _geometry(reader: Any) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """Returns affine and spacing; ITK counts to the left, posterior, superior."""
    axes = reader.GetDimension()
    spatial = min(axes, 3)
    direction = np.array(reader.GetDirection()).reshape(axes, axes)[:spatial, :spatial]
    spacing = np.array(reader.GetSpacing())[:spatial]
    affine = np.eye(4)
    affine[:spatial, :spatial] = direction * spacing
    affine[:spatial, 3] = np.array(reader.GetOrigin())[:spatial]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine, tuple(spacing.tolist())


def _is_oriented(path: Path, reader: Any) -> bool:
    """Tells whether a file says how the body lies in it; ITK takes the axes for L, P, S if not."""
    kind = path.suffix.lower()
    if kind in (".nrrd", ".nhdr"):
        space = "NRRD_space"
        return space in reader.GetMetaDataKeys() and "superior" in reader.GetMetaData(space)
    if kind in (".mha", ".mhd"):
        with path.open("rb") as file:
            header = file.read(_HEADER).partition(b"ElementDataFile")[0]
        return any(word in header for word in (b"TransformMatrix", b"Rotation", b"Orientation"))
    return False  # GIPL


@keep_open(2)  # whole volumes
def _voxels(path: Path) -> NDArray[Any]:
    itk = _itk(path)
    image = itk.ReadImage(str(path))
    voxels: NDArray[Any] = itk.GetArrayFromImage(image)
    components, axes = image.GetNumberOfComponentsPerPixel(), image.GetDimension()
    if components == 1:
        return voxels.T
    if components in (3, 4) and voxels.dtype == np.uint8:
        colors = [(name, "u1") for name in _COLORS[:components]]
        return np.ascontiguousarray(voxels).view(colors)[..., 0].T
    parts = voxels.transpose(*reversed(range(axes)), axes)
    return parts[:, :, None] if axes == 2 else parts
