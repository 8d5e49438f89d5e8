"""How candidates are judged: on validation groups, or by a label-free measure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ...core.dataset import Dataset
from ...core.domain import Domain
from ...core.index import evenly_spaced
from ...core.view import View
from ...data.in_memory import kept_in_memory
from ...data.loader import Skipped
from ...data.splits import Positions, Splits
from ...training.judge import evenly_by_group
from ...training.probe import probe_predict
from ...training.retrieval import IMAGES, found_views
from ..budgets import draw_labels
from ..class_counts import main_metric
from ..differences import average_results
from ..pretrained import Pretrained, embed, embed_views
from ..result import Result, estimates
from ..unreadable import Unreadable

MOST = 2000  # images of each part: more would make the judging of a short run longer than the run
FEW, DRAWS = 10, 5  # labels of each class, and how often they are drawn


@dataclass(frozen=True)
class Judge(ABC):
    """Turns an encoder into a result on images that it was not pre-trained on.

    Attributes:
        dataset: All images.
        domain: Its policies make the views.
        positions: Positions of the images that the judge looks at.
        workers: Number of loading processes; -1 chooses.
        max_skip: Share of these images that may be unreadable, from 0 to 1.
        unreadable: Images that could not be read so far.
    """

    dataset: Dataset
    domain: Domain
    positions: Positions
    workers: int = -1
    max_skip: float = 1.0
    unreadable: Unreadable = field(default_factory=Unreadable)

    @property
    @abstractmethod
    def metric(self) -> str:
        """Name of the metric that candidates are ranked by, the higher the better."""

    @abstractmethod
    def __call__(self, model: Pretrained) -> Result:
        """Judges an encoder; images that cannot be read are left out with a warning.

        Raises:
            DataError: If these are too many.
        """

    def note(self, skipped: Skipped) -> None:
        """Warns of images that cannot be read and of which no warning has told yet.

        Raises:
            DataError: If they are too many.
        """
        self.unreadable.note(skipped, len(self.positions), self.max_skip, tell=True)


@dataclass(frozen=True)
class LabeledJudge(Judge):
    """Fits ridge classifiers to the training part, and scores them on the validation groups.

    One learns from all labels, `DRAWS` others from `FEW` of each class. The figure is the mean of
    the first and of the mean of the others, because with all labels good encoders look alike that
    few labels tell apart. The test part is never read.

    Attributes:
        learned: Number of the first positions, those of the training part.
    """

    learned: int = 0

    @property
    def metric(self) -> str:
        """The accuracy, or the balanced accuracy if the classes are very unequal."""
        return main_metric(self.dataset.index.labels[self.positions[self.learned :]])

    @classmethod
    def of(
        cls, dataset: Dataset, splits: Splits, domain: Domain, workers: int, max_skip: float = 1.0
    ) -> LabeledJudge:
        """Chooses up to 2,000 labeled images of each part, evenly from classes and groups."""
        train, val = (_labeled(dataset, part) for part in (splits.train, splits.val))
        positions = np.concatenate([train, val])
        kept = kept_in_memory(dataset, positions)
        return cls(kept, domain, positions, workers, max_skip, learned=len(train))

    def __call__(self, model: Pretrained) -> Result:
        """Judges an encoder."""
        seen = self.dataset, self.positions, self.domain, self.workers
        features, rows, skipped = embed(model, *seen)
        self.note(skipped)
        every, *few = (self._of(known, features, rows) for known in self._draws)
        return _mean(every, average_results(few)) if few else every

    @cached_property
    def _draws(self) -> list[Positions]:
        """The labels that classifiers learn from: all, then draws if those are fewer."""
        index, known = self.dataset.index, self.positions[: self.learned]
        draws = [draw_labels(index, known, FEW, seed) for seed in range(DRAWS)]
        return [known, *draws] if len(draws[0]) < len(known) else [known]

    def _of(self, known: Positions, features: NDArray[np.float32], rows: Positions) -> Result:
        """Judges features (n, D) of images by a classifier that learns from some of them."""
        index = self.dataset.index
        labels, groups = index.labels[rows], index.groups[rows]
        learned, judged = np.isin(rows, known), ~np.isin(rows, self.positions[: self.learned])
        predictions = probe_predict(features[learned], labels[learned], features[judged])
        return Result.of_classification(labels[judged], predictions, groups[judged], index.classes)


def _mean(every: Result, few: Result) -> Result:
    """Returns the mean of the metrics of two results on the same images."""
    kept = {
        name: replace(each, values=(each.values + few.jackknife[name].values.mean(axis=0)) / 2)
        for name, each in every.jackknife.items()
    }
    return Result(
        estimates(kept), kept, every.main, (), (every.by_group + few.by_group) / 2, {}, every.images
    )


def _labeled(dataset: Dataset, part: Positions) -> Positions:
    index, chosen = dataset.index, np.sort(part[dataset.index.labels[part] >= 0])
    return evenly_by_group(chosen, index.labels[chosen], index.groups[chosen], MOST)


@dataclass(frozen=True)
class LabelFreeJudge(Judge):
    """Measures how often the features of a random view of an image find another view of it."""

    @property
    def metric(self) -> str:
        """The share of views that are found."""
        return "view_retrieval"

    @classmethod
    def of(
        cls, dataset: Dataset, pool: Positions, domain: Domain, workers: int, max_skip: float = 1.0
    ) -> LabelFreeJudge:
        """Chooses as many images as the collapse watch looks at, evenly spread."""
        return cls(dataset, domain, pool[evenly_spaced(len(pool), IMAGES)], workers, max_skip)

    def __call__(self, model: Pretrained) -> Result:
        """Judges an encoder; each image counts as a group."""
        views = (View(model.image_size),) * 2
        features, _, skipped = embed_views(
            model, self.dataset, self.positions, self.domain, views, self.workers
        )
        self.note(skipped)
        first, second = torch.from_numpy(features).unbind(dim=1)
        found = found_views(first, second)
        return Result.of_means({self.metric: found}, np.arange(len(found)), self.metric)
