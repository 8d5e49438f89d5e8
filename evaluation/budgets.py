"""Which labels a small budget buys: nested, spread over groups, the same for every arm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UsageError
from ..core.index import Index
from ..data.splits import Positions

_LARGER = "Choose a larger budget."


def draw_labels(
    index: Index, among: Positions, budget: float, seed: int, by_class: bool = True
) -> Positions:
    """Draws the images whose labels are bought. A larger budget of the same seed holds a smaller.

    Args:
        index: Of the dataset.
        among: Positions of the labeled images outside of the test part.
        budget: An int is a number of images of each class: one of a group before a second of any,
            and all of a class that has fewer. A float is a share of the groups of each class, at
            least one, with all their images; a group belongs to the class that most of it has. A
            class that no group belongs to gets at least one group that holds images of it.
        seed: Of the draw.
        by_class: Whether each class has its own draw; otherwise all images are drawn as one class,
            and need none.

    Returns:
        Sorted positions.

    Raises:
        UsageError: If the budget is neither at least 1 image nor a share up to 1.
    """
    if not (budget >= 1 if isinstance(budget, int) else 0 < budget <= 1):
        raise UsageError(
            f"A label budget is a number of images a class, like 10, or a share up to 1.0, like "
            f"0.1, not {budget!r}."
        )
    among = np.sort(among)
    groups = index.groups[among]
    labels = index.labels[among] if by_class else np.zeros(len(among), dtype=np.int32)
    rng = np.random.default_rng(seed)
    if isinstance(budget, int):
        rows = _of_each_class(labels, groups, budget, rng)
    else:
        rows = _of_groups(labels, groups, budget, rng)
    return among[rows]


@contextmanager
def naming_draw(budget: str, draw: str) -> Iterator[None]:
    """Names a draw of labels where an evaluation refuses it, and advises a larger budget.

    Args:
        budget: The label budget.
        draw: Which draw of it, such as "seed 2".
    """
    try:
        yield
    except UsageError as error:
        text = str(error).removesuffix(f" {_LARGER}")  # of a draw among these labels
        raise UsageError(f"Budget {budget}, {draw}: {text} {_LARGER}") from error


def _of_each_class(
    labels: NDArray[Any], groups: NDArray[Any], k: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Takes the first k of each class in an order that goes round the groups."""
    taken = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        _, codes = np.unique(groups[rows], return_inverse=True)
        taken.append(rows[np.argsort(_occurrence(codes), kind="stable")][:k])
    return np.sort(np.concatenate(taken))


def _occurrence(codes: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) how often each code was there before."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], codes[order], side="left")
    before = np.empty(len(codes), dtype=np.int64)
    before[order] = np.arange(len(codes)) - starts
    return before


def _of_groups(
    labels: NDArray[Any], groups: NDArray[Any], share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Takes a share of the groups of each class, rounded to the nearest number above 0.

    Of each class the group that is drawn first is taken at any share, so that a draw also has the
    classes that are the majority of no group, and a larger share contains a smaller one.
    """
    names, codes = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), labels.max() + 1), dtype=np.int64)
    np.add.at(counts, (codes, labels), 1)
    most = counts.argmax(axis=1)
    drawn_from = np.zeros(len(names))  # the smallest share at which a group is drawn
    taken = np.zeros(len(names), dtype=bool)
    for label in np.unique(most):
        of_class = rng.permutation(np.flatnonzero(most == label))
        drawn_from[of_class[1:]] = (np.arange(1, len(of_class)) + 0.5) / len(of_class)
        taken[of_class[: max(1, round(share * len(of_class)))]] = True
    for label in np.unique(labels):
        holders = np.flatnonzero(counts[:, label])
        taken[holders[drawn_from[holders].argmin()]] = True
    return np.flatnonzero(taken[codes])
