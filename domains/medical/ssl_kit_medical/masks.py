"""Recognizes segmentations among volumes by their values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_kit.data import evenly_spaced

_FEW = 16  # values of which any arrangement is taken for labels
_MANY = 256  # values that are taken for labels if most neighbors are equal
_SMALLEST = 64  # pixels of a slice that can tell
_ALIKE = 0.8  # share of equal neighbors inside labeled regions, at least
_EACH = 200  # files of which each is looked at; of more, only some of each kind of name
_SOME = 3
_KINDS = 500  # kinds of names that are looked at


def are_labels(values: NDArray[np.generic]) -> bool | None:
    """Tells whether the values of a slice (H, W) are the numbers of labels; None if constant."""
    if values.dtype.kind not in "iuf" or values.size < _SMALLEST or not np.isfinite(values).all():
        return False
    levels = np.unique(values)
    if len(levels) == 1:
        return None
    whole = bool((levels == np.rint(levels)).all()) and levels[0] >= 0
    if not whole or len(levels) * 8 > values.size or len(levels) > _MANY:
        return False
    if len(levels) <= _FEW:
        return True
    pairs = np.stack([values[:, 1:], values[:, :-1]])
    pairs = pairs[:, (pairs > 0).all(axis=0)]
    return pairs.size > 0 and bool((pairs[0] == pairs[1]).mean() >= _ALIKE)


def any_labels(slices: Iterable[NDArray[np.generic]]) -> bool:
    """Tells whether the first slice that is not constant holds labels."""
    answers = (are_labels(values) for values in slices)
    return next((answer for answer in answers if answer is not None), False)


def find_masks(names: Sequence[str], is_mask: Callable[[int], bool]) -> tuple[list[int], bool]:
    """Finds the segmentations among files.

    Of many files only some of each kind of name are looked at; names that differ in numbers only
    are of one kind.

    Args:
        names: Paths with "/".
        is_mask: Looks into a file.

    Returns:
        Positions of the segmentations, and whether a look was taken at every kind of name. There
        are none where all files are segmentations.
    """
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        kinds[name if len(names) <= _EACH else re.sub(r"\d+", "#", name)].append(i)
    masks: list[int] = []
    for members in list(kinds.values())[:_KINDS]:
        chosen = evenly_spaced(len(members), _SOME).tolist()
        if all(is_mask(members[k]) for k in chosen):
            masks += members
    return ([] if len(masks) == len(names) else sorted(masks)), len(kinds) <= _KINDS
