"""Splits the images of one group into parts by runs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import UsageError
from ...data import apart_in_time

Positions = NDArray[np.int64]


def cut_by_run(
    runs: NDArray[Any], positions: NDArray[Any], train: float, val: float, gap: float
) -> tuple[Positions, Positions, Positions]:
    """Splits images into three parts by runs: the last ones are the test part.

    Of two runs, the first is the training part, and there is no validation part.

    Args:
        runs: (n,) names or numbers of the runs, in whose order they follow each other.
        positions: (n, P) see `cut_in_time`; P may be 0.
        train: Share of the runs, the first ones.
        val: Share of the runs, next in order.
        gap: Minimum time between images of two parts of a recording.

    Returns:
        Rows of the three parts; the test part is empty if there is a single run.
    """
    names, codes = np.unique(runs, return_inverse=True)
    tested = max(1, round((1 - train - val) * len(names)))
    chosen = max(1, round(val * len(names))) if len(names) > 2 else 0
    last = len(names) - tested if len(names) > 1 else 1
    order = np.lexsort((*positions.T[::-1], codes))
    ends = np.searchsorted(codes[order], [last - chosen, last])
    return apart_in_time(np.split(order, ends), positions, gap)


def run_of(key: str, pattern: str) -> str:
    """Returns the name of an image's run: the first group of a match, or all of it.

    Raises:
        UsageError: If the name does not match.
    """
    match = re.search(pattern, key)
    if match is None:
        raise UsageError(
            f"within_group.parts='{pattern}' does not occur in the name of the image '{key}'. "
            "Write a regular expression that names the run of every image."
        )
    return next((part for part in match.groups() if part), match[0])
