"""Orders and splits images in time, so that nothing is learned from what comes later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UsageError
from ..core.index import Index
from .splits import Positions


def cut_in_time(
    positions: NDArray[Any], train: float, val: float, gap: float
) -> tuple[Positions, Positions, Positions]:
    """Splits images into three parts in the order of time.

    Args:
        positions: (n, P) the recording, in P - 1 columns, and the time in it.
        train: Share of the images, the earliest.
        val: Share of the images, next in time.
        gap: Minimum time between images of two parts of a recording. Images of the earlier part
            that are closer to the later part are left out.

    Returns:
        Rows of the three parts, in the order of time.
    """
    order = np.lexsort(positions.T[::-1])
    ends = np.round(np.cumsum([train, val]) * len(order)).astype(int)
    return apart_in_time(np.split(order, ends), positions, gap)


def apart_in_time(
    parts: Sequence[Positions], positions: NDArray[Any], gap: float
) -> tuple[Positions, Positions, Positions]:
    """Leaves out images of earlier parts that are closer in time than `gap` to a later part."""
    first, second, third = parts

    def before(rows: Positions, later: Positions) -> Positions:
        if not len(later) or not positions.shape[1]:
            return rows
        start = positions[later[0]]
        elsewhere = (positions[rows, :-1] != start[:-1]).any(axis=1)
        distant: Positions = rows[elsewhere | (positions[rows, -1] + gap <= start[-1])]
        return distant

    return before(before(first, second), third), before(second, third), third


def later_starts(index: Index, share: float) -> dict[int, tuple[float, ...]]:
    """Returns where the later part of each group begins: its recording and time.

    Args:
        index: Of the dataset.
        share: Share of the images of a group that are its earlier part; of the labeled ones if the
            group has any, so that `cut_in_time` begins its second part at the same image.

    Returns:
        The position of the first later image by group number, without groups that have none.

    Raises:
        UsageError: If the images have no time.
    """
    if not index.positions.shape[1]:
        raise UsageError(
            "These images have no time, so data.until cannot choose the earlier ones. Use a reader "
            "of recordings, or leave it out."
        )
    starts = {}
    for group in np.unique(index.groups).tolist():
        rows = np.flatnonzero(index.groups == group)
        labeled = rows[index.labels[rows] >= 0]
        rows = labeled if len(labeled) else rows
        _, later, _ = cut_in_time(index.positions[rows], share, 1 - share, 0)
        if len(later):
            starts[group] = tuple(index.positions[rows[later[0]]].tolist())
    return starts


def is_later(
    index: Index, rows: Positions, starts: Mapping[int, Sequence[float]], gap: float = 0
) -> NDArray[np.bool_]:
    """Tells which images (n,) are in the later part of their group, or closer to it than `gap`.

    Args:
        index: Of the dataset.
        rows: (n,) positions of the images.
        starts: Where the later parts begin, by group number; see `later_starts`.
        gap: Minimum time between earlier images and the later part of a recording.
    """
    later = np.zeros(len(rows), dtype=bool)
    for group, (*recording, time) in starts.items():
        own = np.flatnonzero(index.groups[rows] == group)
        positions = index.positions[rows[own]]
        later[own] = [
            begin + gap > time or begin >= time if of == recording else of > recording
            for *of, begin in positions.tolist()
        ]
    return later


def renumber(numbers: Sequence[int], in_order: Iterable[Sequence[int]]) -> list[int]:
    """Exchanges numbers of recordings, so that those of a group rise in the order of time.

    Args:
        numbers: (n,) of the recordings, from 0.
        in_order: Rows of the recordings of each group, in the order of time.

    Returns:
        The numbers. Those of a group in which they changed are below 0: for a run that has kept
        earlier numbers (`until`), none of the group then counts as a later one.
    """
    found, below = list(numbers), max(numbers, default=0) + 1
    for rows in in_order:
        own = [numbers[i] for i in rows]
        if own != sorted(own):
            for i, number in zip(rows, sorted(own), strict=True):
                found[i] = number - below
    return found


def natural_key(name: str) -> list[tuple[bool, int, str]]:
    """Returns what names are sorted by, so that 2 comes before 10."""
    pieces = re.split(r"(\d+)", name)
    return [(k % 2 == 0, int(p) if k % 2 else 0, p) for k, p in enumerate(pieces)]
