"""Stored values of DICOM files as colors and physical values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from ssl_kit import Image

from .dicom_headers import contradicts, of_frame, real_world_table, rescale

_AIR = -1024  # HU; lower values lie outside of the scanner's field of view


def color(stored: NDArray[Any], ds: Dataset) -> Image:
    """Returns 8-bit RGB, (H, W, 3)."""
    bits = int(ds.get("BitsStored") or ds.BitsAllocated)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        stored, bits = apply_color_lut(stored, ds), _depth_of_palette(ds)
    return (stored >> max(0, bits - 8)).astype(np.uint8)


def _depth_of_palette(ds: Dataset) -> int:
    """Returns the bits of the colors of a palette: 8 if none is above 255, whatever it declares."""
    entries, first, bits = (int(v) for v in ds.RedPaletteColorLookupTableDescriptor)
    top = int(apply_color_lut(np.arange(entries or 2**16) + first, ds).max())
    return max(bits, top.bit_length()) if top > 255 else 8


def gray(stored: NDArray[Any], ds: Dataset, number: int, plain: bool, by_shape: bool) -> Image:
    """Returns physical values in which more is brighter, (H, W, 1).

    Args:
        stored: (H, W).
        ds: Header.
        number: Of the frame.
        plain: Whether the values are bytes without a unit.
        by_shape: Whether PresentationLUTShape tells what is bright in a header that contradicts
            itself, not PhotometricInterpretation.
    """
    stored = stored[..., None]
    missing = _padding(stored, ds, number)
    inverted = ds.get("PhotometricInterpretation") == "MONOCHROME1"
    inverted ^= by_shape and contradicts(ds)
    table = of_frame(ds, number, "ModalityLUTSequence")
    if table:
        values = _looked_up(stored, table[0], ds.file_meta.TransferSyntaxUID.is_little_endian)
        top = np.float32(2 ** int(table[0].LUTDescriptor[2]) - 1)
        values = top - values if inverted else values
    elif (mapping := real_world_table(ds, number)) is not None:
        values = _mapped(stored, mapping)
        values = np.nanmax(values) + np.nanmin(values) - values if inverted else values
    else:
        stored = _inverted(stored, ds) if inverted else stored
        if plain:
            return np.where(missing, np.uint8(0), stored)
        slope, intercept = rescale(ds, number)
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    if ds.get("Modality") == "CT":
        values = np.maximum(values, np.float32(_AIR))
    return np.where(missing, np.float32(np.nan), values)


def _inverted(stored: NDArray[Any], ds: Dataset) -> NDArray[Any]:
    """Returns the stored values with the order of their range reversed."""
    if stored.dtype.kind == "f":
        return -stored
    bits = int(ds.get("BitsStored") or ds.BitsAllocated)
    top = -1 if ds.get("PixelRepresentation") else 2**bits - 1
    reversed_values: NDArray[Any] = top - stored
    return reversed_values


def _looked_up(stored: NDArray[Any], table: Dataset, little_endian: bool) -> NDArray[np.float32]:
    """Returns the values of a table, also of a depth that is no number type, such as 12 bits."""
    entries, first, _ = (int(v) for v in table.LUTDescriptor)
    values = table.LUTData
    if isinstance(values, bytes):
        wide = len(values) >= 2 * (entries or 2**16)
        values = np.frombuffer(values, ("<u2" if little_endian else ">u2") if wide else "u1")
    values = np.atleast_1d(values)[: entries or 2**16].astype(np.float32)
    place = (stored.astype(np.int64) - first).clip(0, len(values) - 1)
    looked_up: NDArray[np.float32] = values[place]
    return looked_up


def _mapped(stored: NDArray[Any], mapping: Dataset) -> NDArray[np.float32]:
    """Returns the real world values of a table, NaN where a stored value is not in it."""
    values = np.atleast_1d(np.asarray(mapping.RealWorldValueLUTData, np.float32))
    first = mapping.get("RealWorldValueFirstValueMapped") or 0
    place = stored.astype(np.int64) - int(first)
    known = (place >= 0) & (place < len(values))
    looked_up: NDArray[np.float32] = values[place.clip(0, len(values) - 1)]
    return np.where(known, looked_up, np.float32(np.nan))


def _padding(stored: NDArray[Any], ds: Dataset, number: int) -> NDArray[np.bool_]:
    """Returns where the scanner padded the image."""
    value = of_frame(ds, number, "PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, bool)
    limit = of_frame(ds, number, "PixelPaddingRangeLimit")
    limits = (value, value if limit is None else limit)
    low, high = sorted(_as_stored(limit, ds) for limit in limits)
    padded: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padded


def _as_stored(value: Any, ds: Dataset) -> Any:
    """Returns a number that was written unsigned as the signed one of a signed file, and back."""
    bits, signed = int(ds.BitsAllocated), bool(ds.get("PixelRepresentation"))
    if signed and value >= 2 ** (bits - 1):
        return value - 2**bits
    return value if signed or value >= 0 else value + 2**bits
