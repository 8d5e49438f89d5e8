"""Labeled images in three parts, and their features for any encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset
from ..core.domain import Domain, Policy
from ..core.errors import UsageError
from ..core.view import View
from ..data.splits import Positions, Splits
from ..data.views import whole_image
from .pretrained import Pretrained, embed, embed_views
from .result import Result
from .stored_features import stored

if TYPE_CHECKING:
    from ..core.domain import Transform
_Embedded = tuple[Pretrained, NDArray[np.float32], Positions]


@dataclass(frozen=True)
class LabeledFeatures:
    """Features of labeled images in three parts that share no group.

    Attributes:
        features: (n, D) float32.
        labels: (n,) class numbers.
        groups: (n,) group numbers.
        classes: Class names.
        train: Rows to learn from.
        val: Rows to choose settings on; may be empty.
        test: Rows to report on, once.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int32]
    groups: NDArray[np.int64]
    classes: tuple[str, ...]
    train: Positions
    val: Positions
    test: Positions

    @property
    def known(self) -> Positions:
        """Rows whose labels may be learned from in the end: training and validation images."""
        return np.concatenate([self.train, self.val])

    def result(
        self, answers: NDArray[Any], validation: NDArray[Any] | None = None, **details: Any
    ) -> Result:
        """Judges what was said of the test images; see `Result.of_classification`.

        Args:
            answers: (n_test, K) probabilities, or (n_test,) class numbers.
            validation: (n_val, K) probabilities of the validation images, from a model that has
                not learned from them.
            details: Anything else worth keeping, as plain values.
        """
        labels, test = self.labels, self.test
        chosen_on = None if validation is None else (labels[self.val], validation)
        return Result.of_classification(
            labels[test], answers, self.groups[test], self.classes, chosen_on, **details
        )


@dataclass
class EvaluationData:
    """Images in three parts, labeled as a rule, and their features for any encoder.

    Attributes:
        dataset: All images.
        splits: The parts, with what is unlabeled.
        domain: Its policies make the views.
        workers: Loading processes.
        store: Folder that features of labeled images are kept in; None to compute them.
    """

    dataset: Dataset
    splits: Splits
    domain: Domain
    workers: int = -1
    store: Path | None = None
    _embedded: dict[int, _Embedded] = field(default_factory=dict, repr=False)

    @property
    def parts(self) -> Splits:
        """Positions of the labeled images of each part.

        Raises:
            UsageError: If there are none to learn from or to test on.
        """
        labels = self.dataset.index.labels
        there = self.splits
        train, val, test = (p[labels[p] >= 0] for p in (there.train, there.val, there.test))
        parts = Splits(train, val, test)
        if not len(parts.train) or not len(parts.test):
            raise UsageError(
                "An evaluation needs labeled images to learn from and to test on. Put them into "
                "class folders, or give --labels a CSV with path, label, and group or split; a "
                "class needs at least 5 groups."
            )
        if len(np.unique(labels[np.concatenate([parts.train, parts.val])])) < 2:
            raise UsageError("An evaluation needs labels of at least two classes to learn from.")
        return parts

    def features(self, model: Pretrained) -> LabeledFeatures:
        """Embeds all labeled images, once per encoder, and sorts them into parts."""
        parts, index = self.parts, self.dataset.index
        features, rows = self.labeled(model)
        found = [np.flatnonzero(np.isin(rows, p)) for p in (parts.train, parts.val, parts.test)]
        return LabeledFeatures(
            features, index.labels[rows], index.groups[rows], index.classes, *found
        )

    def labeled(self, model: Pretrained) -> tuple[NDArray[np.float32], Positions]:
        """Embeds all labeled images, once per encoder.

        Returns:
            (n, D) features, and the positions of the images that could be read.
        """
        if id(model) not in self._embedded:  # it keeps the model, so that no other gets its id
            chosen = np.flatnonzero(self.dataset.index.labels >= 0)
            embed = partial(self.embed, model)
            found = (
                stored(self.store, model, self.dataset, chosen, embed)
                if self.store
                else embed(chosen)
            )
            self._embedded[id(model)] = (model, *found)
        return self._embedded[id(model)][1:]

    def embed(
        self, model: Pretrained, positions: Positions
    ) -> tuple[NDArray[np.float32], Positions]:
        """Embeds the images at some positions, labeled or not.

        Returns:
            (n, D) features, and the positions of the images that could be read.
        """
        return embed(model, self.dataset, positions, self.domain, self.workers)[:2]

    def embed_views(
        self, model: Pretrained, positions: Positions, views: int
    ) -> NDArray[np.float32]:
        """Embeds several random views of each image: (n, views, D) of those that can be read."""
        asked = (View(model.image_size),) * views
        found = embed_views(model, self.dataset, positions, self.domain, asked, self.workers)
        return found[0]

    def limited(self, labeled: Positions) -> EvaluationData:
        """Returns the same data with the labels of some images only, besides those of the test.

        Features are shared, so that nothing is embedded twice. Validation images count among the
        labels: where some class is in only one of the two parts, all of them are learned from and
        the validation part is empty.

        Args:
            labeled: Positions of training and validation images; see `draw_labels`.
        """
        train = np.intersect1d(self.splits.train, labeled)
        val = np.intersect1d(self.splits.val, labeled)
        labels = self.dataset.index.labels
        if set(labels[train]) != set(labels[val]):
            train, val = np.union1d(train, val), val[:0]
        return replace(self, splits=Splits(train, val, self.splits.test))

    def seen_through(self, transform: Transform) -> EvaluationData:
        """Returns the same images, altered before the "eval" policy sees them.

        What is made of signals is altered before it is an image; see `Dataset.through`.

        Args:
            transform: Applied to each image before the policy; it gets what policies get.
        """
        dataset = self.dataset.through(transform)
        if dataset is not None:
            return replace(self, dataset=dataset, store=None, _embedded={})
        policy = partial(_after, transform, self.domain.policies.get("eval", whole_image))
        domain = replace(self.domain, policies={**self.domain.policies, "eval": policy})
        return replace(self, domain=domain, store=None, _embedded={})


def _after(
    transform: Transform, policy: Policy, view: View, channels: Sequence[str]
) -> list[Transform]:
    return [transform, *policy(view, channels)]
