"""Pixel values: uint8 from 0 to 255 or float32 from 0 to 1, other depths, and fill values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Image
from ..core.errors import DataError

_HUGE = 1e29
_FEW, _SHARE = 16, 0.0005  # pixels that a fill value has at least
_USUAL = re.compile(r"9{3,}(\.\d+)?")
_LIMITS = {float(2**bits - less) for bits in (15, 16, 31, 32) for less in (0, 1)} | {32766.0}


MOST_BYTES = 2**29  # that one decoded image may take; every loading process holds some images


class _DType(Protocol):
    @property
    def itemsize(self) -> int: ...


def full_scale(dtype: _DType) -> float:
    """Returns the largest pixel value of a number type of NumPy or torch: 255 for uint8, else 1."""
    return 255.0 if dtype.itemsize == 1 else 1.0


def refuse_large(shape: Sequence[int], itemsize: int = 1) -> None:
    """Refuses to decode an image that would not fit into memory beside others.

    Args:
        shape: As the header declares it, such as (H, W, C).
        itemsize: Bytes of a number.

    Raises:
        DataError: If the image would take more than `MOST_BYTES`.
    """
    size = prod(int(side) for side in shape) * itemsize
    if size > MOST_BYTES:
        raise DataError(
            f"would take {size / 2**30:.1f} GiB of memory ({' x '.join(map(str, shape))} values), "
            f"and an image may take {MOST_BYTES / 2**30:.1f} GiB; cut it into tiles or reduce it"
        )


def to_unit(image: Image) -> NDArray[np.float32]:
    """Returns a float32 copy of an image with values in [0, 1]."""
    unit = image.astype(np.float32)
    return unit / np.float32(255) if image.dtype == np.uint8 else unit


def from_unit(unit: Image, like: Image) -> Image:
    """Returns values in [0, 1] in the range, the type and the shape of an image.

    Args:
        unit: Values of about [0, 1], which are clipped.
        like: Image, uint8 or float32, that gives type and shape.
    """
    return from_levels(unit * np.float32(255) if like.dtype == np.uint8 else unit, like)


def from_levels(levels: Image, like: Image) -> Image:
    """Returns values in the type and the shape of an image, clipped to its range.

    Args:
        levels: Values in the units of the image; they are rounded for uint8.
        like: Image, uint8 or float32, that gives type and shape.
    """
    levels = levels.clip(0, full_scale(like.dtype)).reshape(like.shape)
    return np.rint(levels).astype(np.uint8) if like.dtype == np.uint8 else levels


def in_other_depth(image: Image, dtype: np.dtype[Any]) -> Image:
    """Returns an image of 8 or 16 bits in the other depth: the full range stays the full range.

    Args:
        image: Of any number type and shape.
        dtype: Number type to return.

    Raises:
        DataError: If the types differ and are not uint8 and uint16, whose ranges are known.
    """
    if image.dtype == dtype:
        return image
    if image.dtype == np.uint8 and dtype == np.uint16:
        return image.astype(np.uint16) * np.uint16(257)
    if image.dtype == np.uint16 and dtype == np.uint8:
        return np.asarray((image.astype(np.uint32) + 128) // 257, np.uint8)
    raise DataError(f"is {image.dtype.name} where most images are {dtype.name}")


def suspected_fills(values: NDArray[Any], most: int = 4) -> list[float]:
    """Returns extreme values that look like missing data: frequent, and far from all others.

    A value of 1e29 or more is never a measurement. Any other value must be that of at least 16
    pixels and 0.05 % of all, and lie further from the next value than three times the range of
    the others; a value that is the limit of a number type, or nines only, needs a tenth of this
    range below the others, or half of it above.

    Args:
        values: (n,) numbers of one channel, of the type in which they are stored.
        most: Number of values that are returned at most.
    """
    finite = values[np.isfinite(values)]
    huge = np.unique(finite[np.abs(finite.astype(np.float64)) >= _HUGE])
    fills = [float(value) for value in huge[:most]]
    levels, counts = np.unique(finite, return_counts=True)
    numbers = levels.astype(np.float64)
    kept = np.abs(numbers) < _HUGE
    numbers, counts = numbers[kept], counts[kept]
    least = max(_FEW, _SHARE * len(finite))
    while len(fills) < most and len(numbers) > 2:
        if counts[0] >= least and _is_far(numbers[0], numbers[1], numbers[-1]):
            fills.append(float(numbers[0]))
            numbers, counts = numbers[1:], counts[1:]
        elif counts[-1] >= least and _is_far(numbers[-1], numbers[-2], numbers[0]):
            fills.append(float(numbers[-1]))
            numbers, counts = numbers[:-1], counts[:-1]
        else:
            break
    return fills


def _is_far(value: float, nearest: float, furthest: float) -> bool:
    """Tells whether an extreme value lies far from the other values, which end in two others."""
    gap, spread = abs(value - nearest), abs(furthest - nearest)
    if not _USUAL.fullmatch(f"{abs(value):.10g}") and abs(value) not in _LIMITS:
        return gap > 3 * spread
    return gap > (0.1 if value < nearest else 0.5) * spread


def fills_among(images: Iterable[Image]) -> dict[float, float]:
    """Returns `suspected_fills` of images of one kind, with their share of the pixels.

    Args:
        images: (H, W) or (H, W, C) each, all with the same C; some of their pixels are looked at.
    """
    parts = [_thinned(image) for image in images]
    if not parts or parts[0].dtype.kind not in "iuf":
        return {}
    channels = np.concatenate(parts).T
    fills: dict[float, float] = {}
    for channel in channels:
        for value in suspected_fills(channel):
            share = float((channel == value).mean())
            fills[value] = max(fills.get(value, 0.0), share)
    return fills


def _thinned(image: Image) -> Image:
    flat = image.reshape(-1, image.shape[2] if image.ndim == 3 else 1)
    return flat[:: max(1, len(flat) // 4096)]


def without_fills(image: Image, fills: Collection[float]) -> Image:
    """Returns an image in float32 with NaN where it has one of some values; as it is without."""
    if not fills:
        return image
    missing = np.isin(image, list(fills))
    values = np.where(missing, 0, image).astype(np.float32)
    values[missing] = np.nan
    return values


def listed_fills(fills: Mapping[float, float]) -> str:
    """Returns the remark on values that count as missing: "-9999 (12 %)"."""
    values = ", ".join(f"{value:.10g} ({100 * share:.3g} %)" for value, share in fills.items())
    return (
        f"Taken for missing data, although the files do not declare it: {values} of the pixels "
        "looked at; --set data.options.guess_nodata=false takes all values for measurements."
    )
