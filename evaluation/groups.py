"""Means over groups, each of which counts once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ..core.index import Index
from .result import Result


def names_of_groups(index: Index) -> dict[int, str]:
    """Returns the name of each group by its number, for the terminal; they may be patients' names.

    Args:
        index: Of the dataset.
    """
    groups, first = np.unique(index.groups, return_index=True)
    return {g: index.group(i) for g, i in zip(groups.tolist(), first.tolist(), strict=True)}


def over_groups(
    scores: Mapping[int, Mapping[str, float]],
    main: str,
    images: int = 0,
    limits: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> Result:
    """Averages scores of groups, each counting once; the intervals are over groups.

    Args:
        scores: By the number of the group, in order, and by name. A group may lack a score: then
            the mean is over the others, and there is none below two of them.
        main: The score that arms are preferred by; every group has it.
        images: Number of test images.
        limits: Smallest and largest value of scores; see `jackknife`.

    Returns:
        Means; details tell the deviation between groups and how many groups a mean is over.
    """
    parts: dict[str, Result] = {}
    between: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for each in scores.values() for name in each):
        groups = [group for group, each in scores.items() if name in each]
        values = np.array([scores[group][name] for group in groups])
        if len(groups) >= 2:
            parts[name] = Result.of_means({name: values}, np.array(groups), name, limits)
            between[name] = {"deviation": float(values.std(ddof=1)), "groups": len(groups)}
    return Result(
        {name: part.metrics[name] for name, part in parts.items()},
        {name: part.jackknife[name] for name, part in parts.items()},
        main,
        by_group=np.array([each[main] for each in scores.values()]),
        details={"between_groups": between},
        images=images,
    )
