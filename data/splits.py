"""Train, validation and test parts that share no group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UsageError
from ..core.index import SPLITS, Index

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Splits:
    """Positions of the images of each part.

    Unlabeled images are part of `train`, unless their group is part of `test`.

    Attributes:
        remarks: What could not be split, and why; one sentence each.
    """

    train: Positions
    val: Positions
    test: Positions
    remarks: tuple[str, ...] = ()


def split(index: Index, holdout: float) -> Splits:
    """Splits a dataset: as declared where it declares a test part, else by group.

    Without a declaration, `holdout` of the groups, stratified by label, are the test part; without
    labels there is none. The validation part is a quarter of the labeled training groups. The
    result depends on the dataset and `holdout` only, so that pre-training and every evaluation
    agree on it.

    Raises:
        UsageError: If declared parts share a group.
    """
    everything = np.arange(len(index))
    test = index.splits == SPLITS.index("test")
    declared = bool(test.any())
    remarks: list[str] = []
    if not declared and holdout > 0:
        drawn, remarks = _draw(index, index.labels >= 0, holdout)
        test = np.isin(index.groups, index.groups[drawn])  # with what is unlabeled of its groups
    val = (index.splits == SPLITS.index("val")) & ~test
    if not val.any():
        val, _ = _draw(index, (index.labels >= 0) & ~test, 0.25)
    train = ~test & ~val
    if declared:
        remarks = _only_in_test(index, test)
    shared = np.intersect1d(index.groups[test], index.groups[~test])
    if len(shared):
        raise UsageError(
            f"{len(shared)} groups are in the test part and outside of it. Correct the split "
            "column, or leave it out to have groups kept together."
        )
    return Splits(everything[train], everything[val], everything[test], tuple(remarks))


def _only_in_test(index: Index, test: NDArray[np.bool_]) -> list[str]:
    """Names the classes that are in a declared test part only, since they cannot be learned."""
    learned = set(index.labels[~test].tolist()) - {-1}
    lonely = sorted(set(index.labels[test].tolist()) - learned - {-1})
    if not lonely or not learned:
        return []
    count = int(np.isin(index.labels[test], lonely).sum())
    labeled = int((index.labels[test] >= 0).sum())
    return [
        f"{_named(index, lonely)} in the test part only and cannot be learned: at most "
        f"{labeled - count} of its {labeled} images can be classified correctly."
    ]


def _named(index: Index, classes: Sequence[int]) -> str:
    names = [f"'{index.classes[number]}'" for number in classes]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"The class {listed} is" if len(names) == 1 else f"The classes {listed} are"


def _draw(
    index: Index, among: NDArray[np.bool_], share: float
) -> tuple[NDArray[np.bool_], list[str]]:
    """Draws about `share` of the groups among some images, stratified by label.

    Classes with fewer images or groups than folds are not drawn from; they stay where they are.

    Returns:
        (n,) whether each image is drawn, none if there are too few, and remarks on what is rare.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    drawn = np.zeros(len(index), dtype=bool)
    folds = max(2, round(1 / share))
    labels, sizes = np.unique(index.labels[among], return_counts=True)
    rare = labels[sizes < folds].tolist()
    chosen = np.flatnonzero(among & ~np.isin(index.labels, rare))
    groups = index.groups[chosen]
    remarks: list[str] = []
    if not len(labels):
        return drawn, remarks
    one_is_left = len(rare) > 0 and len(rare) > len(labels) - 2
    if not len(chosen) or one_is_left or len(np.unique(groups)) < folds:
        count = len(np.unique(index.groups[among]))
        remarks.append(
            f"Nothing is held out: that needs {folds} groups and two classes of {folds} images; "
            f"there are {count} groups, and {len(labels) - len(rare)} such classes."
        )
        return drawn, remarks
    if rare:
        remarks.append(
            f"{_named(index, rare)} too rare to be tested (fewer than {folds} images)"
            " and part of the training images."
        )
    singles = len(np.unique(groups)) == len(groups)
    splitter = StratifiedKFold if singles else StratifiedGroupKFold  # the latter is slow at 10^6
    folded = splitter(n_splits=folds, shuffle=True, random_state=0).split(
        chosen, index.labels[chosen], None if singles else groups
    )
    drawn[chosen[next(iter(folded))[1]]] = True
    return drawn, remarks
