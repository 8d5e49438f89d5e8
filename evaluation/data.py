"""Labeled images in three parts, and their features for any encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset
from ..core.domain import Domain, Policy
from ..core.index import Index
from ..core.view import View
from ..data.in_time import is_later
from ..data.loader import Skipped
from ..data.splits import Positions, Splits, labeled_parts
from ..data.views import whole_image
from ..training.finite import require_finite
from .class_counts import rarest
from .grades import GradesConfig
from .pretrained import Pretrained, embed, embed_views
from .result import Result
from .stored_features import stored
from .unreadable import Unreadable

if TYPE_CHECKING:
    from ..core.dataset import Transform
_Embedded = tuple[Pretrained, NDArray[np.float32], Positions]


@dataclass(frozen=True)
class LabeledFeatures:
    """Features of labeled images in three parts that share no group.

    Attributes:
        features: (n, D) float32.
        labels: (n,) class numbers.
        groups: (n,) group numbers.
        classes: Class names.
        train: Rows of the training part.
        val: Rows of the validation part, which settings are chosen on; may be empty.
        test: Rows of the test part.
        rarest: The class with the fewest training and validation images, before labels were held
            back; "" if it is not known.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int32]
    groups: NDArray[np.int64]
    classes: tuple[str, ...]
    train: Positions
    val: Positions
    test: Positions
    rarest: str = ""

    def __post_init__(self) -> None:
        """Refuses features that are not finite."""
        require_finite(self.features, "rows of features")

    @property
    def known(self) -> Positions:
        """Rows of the training and the validation part, which the final model learns from."""
        return np.concatenate([self.train, self.val])

    def result(
        self,
        predictions: NDArray[Any],
        validation: NDArray[Any] | None = None,
        config: GradesConfig | None = None,
        **details: Any,
    ) -> Result:
        """Scores the predictions on the test part; see `Result.of_classification`.

        Args:
            predictions: (n_test, K) probabilities, or (n_test,) class numbers.
            validation: (n_val, K) probabilities of the validation images, from a model that has
                not learned from them.
            config: Options: which of two classes is positive and at which sensitivity, and whether
                the classes are ordered.
            details: Anything else to keep in the result, as plain values.
        """
        config = config or GradesConfig()
        order, positive = (
            config.order(self.classes),
            config.positive_class(self.classes, self.rarest),
        )
        labels, test = self.labels, self.test
        chosen_on = None if validation is None else (labels[self.val], validation)
        return Result.of_classification(
            *(labels[test], predictions, self.groups[test], self.classes, chosen_on, order),
            positive=positive,
            sensitivity=config.sensitivity,
            **details,
        )


@dataclass(frozen=True)
class EvaluationData:
    """Images in three parts, most of them labeled, and their features for any encoder.

    Attributes:
        dataset: All images.
        splits: The three parts, unlabeled images included.
        domain: Its policies make the views.
        workers: Number of loading processes; -1 chooses.
        store: Folder that keeps the features of labeled images; None keeps them in memory only.
        pretrained_on: Hashes of the groups that an encoder was pre-trained on, which evaluations
            that make parts of their own do not report on.
        until: Positions of the first images that come after those that an encoder was pre-trained
            on, by the hash of the group, of groups whose earlier images alone it has seen.
        whole: The parts of which `splits` are a selection; None if they are not.
        max_skip: Share of the images that may be unreadable; None for any.
    """

    dataset: Dataset
    splits: Splits
    domain: Domain
    workers: int = -1
    store: Path | None = None
    pretrained_on: frozenset[str] = frozenset()
    until: Mapping[str, Sequence[float]] = field(default_factory=dict)
    whole: Splits | None = None
    max_skip: float | None = None
    _embedded: dict[int, _Embedded] = field(default_factory=dict, repr=False)
    _unreadable: Unreadable = field(default_factory=Unreadable, repr=False)

    @property
    def parts(self) -> Splits:
        """Positions of the labeled images of each part.

        Raises:
            UsageError: If the training or the test part has none, or there is a single class.
        """
        return labeled_parts(self.dataset.index, self.splits)

    @property
    def rarest(self) -> str:
        """The class with the fewest training and validation images, before labels were held back.

        So the same one of two classes is the positive one at all budgets of labels.
        """
        parts, index = self.whole or self.splits, self.dataset.index
        return rarest(index.labels[np.concatenate([parts.train, parts.val])], index.classes)

    def unseen(self, positions: Positions, later: bool = False) -> Positions:
        """Returns those of some positions whose groups were not pre-trained on.

        Args:
            positions: Of the images.
            later: Whether to add images after those of their group that were pre-trained on.
        """
        index = self.dataset.index
        seen = in_groups(index, positions, self.pretrained_on)
        return positions[~seen | (after(index, positions, self.until) if later else False)]

    def features(self, model: Pretrained) -> LabeledFeatures:
        """Embeds all labeled images, once per encoder, and sorts them into parts."""
        parts, index = self.parts, self.dataset.index
        features, positions = self.labeled(model)
        train, val, test = (
            np.flatnonzero(np.isin(positions, part))
            for part in (parts.train, parts.val, parts.test)
        )
        labels, groups = index.labels[positions], index.groups[positions]
        classes, rarest = index.classes, self.rarest
        return LabeledFeatures(features, labels, groups, classes, train, val, test, rarest)

    def labeled(self, model: Pretrained) -> tuple[NDArray[np.float32], Positions]:
        """Embeds all labeled images, once per encoder.

        Returns:
            (n, D) features, and the positions of the images that could be read.

        Raises:
            DataError: If too many cannot be read.
        """
        if id(model) not in self._embedded:  # it keeps the model, so that no other gets its id
            labeled = np.flatnonzero(self.dataset.index.labels >= 0)
            embed = partial(self.embed, model)
            features = (
                stored(self.store, model, self.dataset, labeled, embed)
                if self.store
                else embed(labeled)
            )
            require_finite(features[0], f"features by '{model.name}'")
            self._embedded[id(model)] = (model, *features)
        return self._embedded[id(model)][1:]

    def embed(
        self, model: Pretrained, positions: Positions
    ) -> tuple[NDArray[np.float32], Positions]:
        """Embeds the images at some positions, labeled or not.

        Returns:
            (n, D) features, and the positions of the images that could be read.
        """
        features, rows, skipped = embed(model, self.dataset, positions, self.domain, self.workers)
        self.note_unreadable(skipped, positions)
        return features, rows

    def embed_views(
        self, model: Pretrained, positions: Positions, views: int
    ) -> NDArray[np.float32]:
        """Embeds several random views of each image: (n, views, D) of those that can be read."""
        requests = (View(model.image_size),) * views
        images = (self.dataset, positions, self.domain)
        features, _, skipped = embed_views(model, *images, requests, self.workers)
        self.note_unreadable(skipped, positions)
        return features

    def note_unreadable(self, skipped: Skipped, positions: Positions, tell: bool = True) -> None:
        """Counts unreadable images, each once for all encoders, and warns of those that are new.

        Args:
            skipped: Name of each unreadable image, and the reason.
            positions: Of the images that were read or are still to be read.
            tell: Whether to warn now, or at the next call that does.

        Raises:
            DataError: If there are more than `max_skip` of these and all labeled images.
        """
        if skipped or self._unreadable.has_untold:
            labeled = np.flatnonzero(self.dataset.index.labels >= 0)
            images = len(np.union1d(labeled, positions))
            self._unreadable.note(skipped, images, self.max_skip, tell)

    def limited(self, labeled: Positions) -> EvaluationData:
        """Returns the same data in which only some training and validation images have labels.

        Features are shared, so that nothing is embedded twice. Where labels are held back, and the
        validation images that are left have fewer than two classes or one that no training image
        has, all become training images and the validation part is empty.

        Args:
            labeled: Positions of training and validation images; see `draw_labels`.
        """
        train = np.intersect1d(self.splits.train, labeled)
        val = np.intersect1d(self.splits.val, labeled)
        labels = self.dataset.index.labels
        held_back = np.setdiff1d(self.splits.outside_test, labeled)
        learned, validated = (set(labels[part].tolist()) - {-1} for part in (train, val))
        if (labels[held_back] >= 0).any() and (len(validated) < 2 or validated - learned):
            train, val = np.union1d(train, val), val[:0]
        whole = self.whole or self.splits
        return replace(self, splits=Splits(train, val, self.splits.test), whole=whole)

    def seen_through(self, transform: Transform) -> EvaluationData:
        """Returns the same images, transformed before the "eval" policy is applied.

        Images that are made of signals are transformed as signals; see `Dataset.through`.

        Args:
            transform: Applied to each image before the policy; it gets what policies get.
        """
        dataset = self.dataset.through(transform)
        if dataset is not None:
            return replace(self, dataset=dataset, store=None, _embedded={})
        policy = partial(_after, transform, self.domain.policies.get("eval", whole_image))
        domain = replace(self.domain, policies={**self.domain.policies, "eval": policy})
        return replace(self, domain=domain, store=None, _embedded={})


def in_groups(index: Index, positions: Positions, hashes: AbstractSet[str]) -> NDArray[np.bool_]:
    """Tells which images (n,) are of a group whose hash is among `hashes`."""
    groups, first, inverse = np.unique(
        index.groups[positions], return_index=True, return_inverse=True
    )
    known = [bool(hashes & index.group_hashes(positions[i : i + 1])) for i in first]
    return np.array(known, dtype=bool)[inverse] if len(groups) else np.zeros(0, dtype=bool)


def after(
    index: Index, positions: Positions, until: Mapping[str, Sequence[float]]
) -> NDArray[np.bool_]:
    """Tells which images (n,) come after those of their group that were pre-trained on.

    Args:
        index: Of the dataset.
        positions: Of the images.
        until: See `EvaluationData.until`.
    """
    groups, first = np.unique(index.groups[positions], return_index=True)
    hashes = [index.group_hashes(positions[i : i + 1]).pop() for i in first.tolist()]
    named = zip(groups.tolist(), hashes, strict=True)
    return is_later(index, positions, {g: until[name] for g, name in named if name in until})


def _after(
    transform: Transform, policy: Policy, view: View, channels: Sequence[str]
) -> list[Transform]:
    return [transform, *policy(view, channels)]
