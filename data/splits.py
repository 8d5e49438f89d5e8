"""Train, validation and test parts that share no group."""

from __future__ import annotations

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
    """

    train: Positions
    val: Positions
    test: Positions


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
    if not test.any() and holdout > 0:
        drawn = _draw(index, index.labels >= 0, holdout)
        test = np.isin(index.groups, index.groups[drawn])  # with what is unlabeled of its groups
    val = (index.splits == SPLITS.index("val")) & ~test
    if not val.any():
        val = _draw(index, (index.labels >= 0) & ~test, 0.25)
    train = ~test & ~val
    shared = np.intersect1d(index.groups[test], index.groups[~test])
    if len(shared):
        raise UsageError(
            f"{len(shared)} groups are in the test part and outside of it. Correct the split "
            "column, or leave it out to have groups kept together."
        )
    return Splits(everything[train], everything[val], everything[test])


def _draw(index: Index, among: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Draws about `share` of the groups among some images, stratified by label; none if too few."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    drawn = np.zeros(len(index), dtype=bool)
    chosen = np.flatnonzero(among)
    folds = max(2, round(1 / share))
    groups, labels = index.groups[chosen], index.labels[chosen]
    _, sizes = np.unique(labels, return_counts=True)
    if len(sizes) == 0 or sizes.min() < folds or len(np.unique(groups)) < folds:
        return drawn
    singles = len(np.unique(groups)) == len(groups)
    splitter = StratifiedKFold if singles else StratifiedGroupKFold  # the latter is slow at 10^6
    folded = splitter(n_splits=folds, shuffle=True, random_state=0).split(
        chosen, labels, None if singles else groups
    )
    drawn[chosen[next(iter(folded))[1]]] = True
    return drawn
