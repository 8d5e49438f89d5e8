"""Tells from the shape of an image whether its channels are the first axis or the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

FEW = 16  # channels; a first axis of at most this length is hardly the height of an image
COLORS = 4  # channels of a picture at most
_ALIKE = 2  # largest ratio of height and width that is usual


def axis_of(shape: Sequence[int], names: int = 0) -> Literal["first", "last", "doubtful"]:
    """Tells which axis of an image holds the channels.

    It is the first if that is short (at most 16) and the two others are longer and alike (within
    a factor of two), as in 3x64x64. It is doubtful if the first two axes make a strip but the last
    two a usual image, as in 200x9x9 and 3x64x200.

    Args:
        shape: Of an image with three axes.
        names: Number of channels that the user named, 0 if unknown.
    """
    first, middle, last = shape
    if names and first != last and names in (first, last):
        return "first" if names == first else "last"
    shorter = min(middle, last)
    if first <= FEW and first < shorter and _are_alike(middle, last):
        return "first"
    if middle == last > COLORS or (last > FEW >= first and shorter > FEW):
        return "doubtful"
    strip = _are_alike(middle, last) and not _are_alike(first, middle)
    return "doubtful" if strip and last > FEW else "last"


def _are_alike(one: int, other: int) -> bool:
    return max(one, other) <= _ALIKE * min(one, other)
