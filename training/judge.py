"""Judges encoders on labeled images by a fast probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import UsageError
from ..core.index import Index
from ..core.view import View
from ..data.loader import ViewDataset, load
from ..data.memory import in_parts
from ..data.order import Once
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.targets import strata
from .intervals import FEWEST
from .probe import probe_predict
from .setup import Setup

Encode = Callable[[Tensor], Tensor]
FOLDS = 3
_REPEATS, _PREDICTIONS = 4, 1000
_BATCH = 256
_BYTES = 2**29  # of the images that are judged by
_A_FOLD = 2  # images of a class in each fold, at least


def judged_by(index: Index, pool: Positions) -> Positions:
    """Returns the images that encoders can be judged on, in their order, (n,).

    These have one of at least two classes with at least two groups each. Numbers count as classes
    of fifths; see `strata`.

    Args:
        index: Of the dataset.
        pool: Positions that training may use.

    Raises:
        UsageError: If there are too few of them.
    """
    labels = strata(index)
    known = pool[labels[pool] >= 0]
    if not len(known):
        raise UsageError("the images have no labels")
    pairs = np.unique(np.column_stack([labels[known], index.groups[known]]), axis=0)
    classes, groups = np.unique(pairs[:, 0], return_counts=True)
    known = known[np.isin(labels[known], classes[groups >= 2])]
    if (groups >= 2).sum() < 2:
        raise UsageError("fewer than two classes have two groups of labeled images")
    if (count := len(np.unique(index.groups[known]))) < FEWEST:
        raise UsageError(f"the labeled images have {count} groups, and {FEWEST} are needed")
    return known


def evenly_by_group(
    positions: Positions, labels: NDArray[Any], groups: NDArray[np.int64], most: int
) -> Positions:
    """Returns up to `most` positions: one of each class in each group, then a second, and so on.

    A group of very many images therefore does not stand for all the others.

    Args:
        positions: (n,) sorted positions.
        labels: (n,) classes.
        groups: (n,) group numbers.
        most: Largest number to return.
    """
    shuffled = np.random.default_rng(0).permutation(len(positions))
    pairs = np.column_stack([labels, groups])[shuffled]
    _, codes = np.unique(pairs, axis=0, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), dtype=np.int64)  # of an image among those of its class and group
    rank[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    return np.sort(positions[shuffled[np.argsort(rank, kind="stable")[:most]]])


def enough_of_each_class(
    positions: Positions, labels: NDArray[Any], groups: NDArray[np.int64], most: int
) -> Positions:
    """Returns up to `most` positions, of so few classes that a probe can learn each of them.

    Where classes are many and `most` is small, some classes, drawn at random, stand for all: of one
    image a class nothing can be learned.

    Args:
        positions: (n,) sorted positions.
        labels: (n,) classes.
        groups: (n,) group numbers.
        most: Largest number to return.
    """
    classes, most_classes = np.unique(labels), max(2, most // (_A_FOLD * FOLDS))
    if len(classes) > most_classes:
        drawn = np.random.default_rng(0).choice(classes, most_classes, replace=False)
        kept = np.isin(labels, drawn)
        positions, labels, groups = positions[kept], labels[kept], groups[kept]
    return evenly_by_group(positions, labels, groups, most)


def most_in_memory(views: ViewDataset, positions: Positions) -> int:
    """Returns of how many images all views may be in memory."""
    return max(1, _BYTES // views.bytes_of(positions[:1]))


def render(
    views: ViewDataset, positions: Positions, index: Index
) -> tuple[list[Tensor], Positions]:
    """Renders images, without those that cannot be read.

    Args:
        views: Renders V views of an image.
        positions: (n,) positions of the images.
        index: Of the dataset.

    Returns:
        For each view the (m, H, W, C) pixels, and the (m,) positions of the images.
    """
    batches = list(load(views, Once(positions, _BATCH), workers=0))
    bad = {key for batch in batches for key, _ in batch.skipped}
    kept = np.array([index.key(i) not in bad for i in positions.tolist()])
    pixels = [torch.cat(of_view) for of_view in zip(*(b.views for b in batches), strict=True)]
    return [each[torch.from_numpy(kept)] for each in pixels], positions[kept]


def embedded(
    pixels: Tensor, encoder: Encode, standardize: Standardize, autocast: Callable[[], Any]
) -> Tensor:
    """Embeds images, (n, H, W, C) to (n, D), with an encoder in evaluation mode."""
    with torch.no_grad(), autocast():
        rows = [
            in_parts(lambda x: encoder(standardize(x)).float().cpu(), part)
            for part in torch.split(pixels, _BATCH)
        ]
    return torch.cat(rows)


@dataclass(frozen=True)
class Sample:
    """Images that encoders are judged on.

    Attributes:
        pixels: (n, H, W, C) of their "eval" views.
        labels: (n,) classes.
        groups: (n,) group numbers.
    """

    pixels: Tensor
    labels: NDArray[Any]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, setup: Setup, positions: Positions, most: int) -> Sample:
        """Renders up to `most` of the images, and what fits; unreadable ones are left out."""
        index, labels = setup.dataset.index, strata(setup.dataset.index)
        views = setup.view_dataset((View(setup.config.encoder.image_size, policy="eval"),))
        most = min(most, most_in_memory(views, positions))
        chosen = enough_of_each_class(positions, labels[positions], index.groups[positions], most)
        (pixels,), chosen = render(views, chosen, index)
        return cls(pixels, labels[chosen], index.groups[chosen])

    @cached_property
    def folds(self) -> list[NDArray[np.int64]]:
        """Numbers of the folds of the images, (n,), in several divisions; see `fold_numbers`.

        Up to 250 images are divided four times, 1,000 images once: where they are few, what a
        probe predicts depends on which of them it was fitted on.
        """
        repeats = min(_REPEATS, max(1, _PREDICTIONS // max(1, len(self.labels))))
        return [fold_numbers(self.labels, self.groups, seed) for seed in range(repeats)]

    def features(
        self, encoder: Encode, standardize: Standardize, autocast: Callable[[], Any]
    ) -> NDArray[np.float32]:
        """Embeds the images, (n, D), with an encoder in evaluation mode."""
        features: NDArray[np.float32] = embedded(
            self.pixels, encoder, standardize, autocast
        ).numpy()
        return features

    def correct(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns how often a probe predicts the class of an image, (n,), from 0 to 1.

        The images of a fold are predicted by a probe that was fitted on the other folds, once in
        each division. Of features that are not finite nothing is predicted.
        """
        correct = np.zeros(len(self.labels))
        if not np.isfinite(features).all():
            return correct
        for folds, fold in product(self.folds, range(FOLDS)):
            known, tested = folds != fold, folds == fold
            if tested.any() and len(np.unique(self.labels[known])) > 1:
                guesses = probe_predict(features[known], self.labels[known], features[tested])
                correct[tested] += guesses == self.labels[tested]
        return correct / len(self.folds)


def fold_numbers(
    labels: NDArray[Any], groups: NDArray[np.int64], seed: int = 0
) -> NDArray[np.int64]:
    """Divides images into folds that share no group, with similar shares of each class, (n,).

    The groups of a class, sorted by their size, are dealt to the folds, to each one before any has
    a second; a group of several classes goes with the most frequent of them. If all groups of a
    class come to one fold, the last goes to the next fold: else no probe that is asked for the
    class has seen it.

    Args:
        labels: (n,) classes.
        groups: (n,) group numbers.
        seed: Of the order in which they are dealt.
    """
    _, codes = np.unique(groups, return_inverse=True)
    table = np.zeros((codes.max() + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (codes, labels), 1)
    order = np.lexsort((table.sum(axis=1), table.argmax(axis=1)))
    rounds = np.tile(np.arange(FOLDS), (len(table) // FOLDS + 1, 1))
    dealt = np.random.default_rng(seed).permuted(rounds, axis=1).reshape(-1)
    folds = np.empty(len(table), dtype=np.int64)
    folds[order] = dealt[: len(table)]
    for has in (table > 0).T:
        if has.sum() > 1 and len(np.unique(folds[has])) == 1:
            last = order[has[order]][-1]
            folds[last] = (folds[last] + 1) % FOLDS
    return folds[codes]
