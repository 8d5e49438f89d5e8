"""Leave-one-group-out: each subject, patient or scene is tested by a probe of all others.

With subjects as groups this is LOSO. C is chosen by an inner cross-validation over the other
groups: Bias in error estimation when using cross-validation for model selection, Varma, Simon,
2006.
https://doi.org/10.1186/1471-2105-7-91
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from ... import Evaluation, UsageError
from ...data import agree, can_leave_one_out, plural
from ...evaluation import (
    GRADES_APART,
    EvaluationData,
    LabeledFeatures,
    Predictions,
    Pretrained,
    Result,
    choose,
    counted,
    in_order,
    over_groups,
)
from .linear import Linear, LinearConfig

_INNER = 5  # folds of the inner cross-validation
_NONE: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


def scores_of(
    labels: NDArray[Any], probabilities: NDArray[Any], ordinal: bool = False
) -> dict[str, float]:
    """Scores the predictions for one group.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, K).
        ordinal: Whether the classes are ordered, from the lowest to the highest grade.

    Returns:
        The accuracy, for ordered classes the mean absolute error, and if the group has at least
        two classes the balanced accuracy, macro F1 and the area under the ROC curve, averaged over
        the classes of the group.
    """
    predicted, present = probabilities.argmax(axis=1), np.unique(labels)
    accuracy = {"accuracy": float((predicted == labels).mean())}
    if ordinal:
        accuracy[GRADES_APART] = float(np.abs(predicted - labels).mean())
    if len(present) < 2:
        return accuracy
    recall = recall_score(labels, predicted, labels=present, average="macro", zero_division=0)
    areas = [roc_auc_score(labels == k, probabilities[:, k]) for k in present]
    return accuracy | {
        "balanced_accuracy": float(recall),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "auroc": float(np.mean(areas)),
    }


_ALONE = (
    "No subjects are declared: every image is a group of its own, so that this is not leaving one "
    "subject out. Name subjects by the column 'group' of --labels, or by options of the reader."
)


class LeaveOneOutConfig(LinearConfig):
    """Options of the linear probe and of the groups that are left out."""

    among: Annotated[
        Literal["all", "test"],
        Field(
            description="groups that are left out in turn: all labeled groups that the run was not "
            "pre-trained on, or those of the test part"
        ),
    ] = "all"
    folds: Annotated[
        int, Field(ge=0, description="number of folds of groups; 0 leaves out one group at a time")
    ] = 0


class LeaveOneOut(Evaluation):
    """How accurate is a linear probe on a subject that it was not trained on?

    Metrics are of all predictions together and, with "_per_group", means over groups. Groups of a
    single class count for the accuracy only. The encoder is not trained here: the groups that a
    run was pre-trained on are not left out, and the probe always learns from their labels.
    """

    Config = LeaveOneOutConfig
    uses_features = True
    tested_like_finetuning = False
    quick: ClassVar[Mapping[str, Any]] = {"folds": 2, "strengths": (0.1, 1.0), "iterations": 20}

    def tested(self, data: EvaluationData) -> NDArray[np.int64]:
        """Returns the positions of the images that are reported on."""
        s, labels = data.splits, data.dataset.index.labels
        left_out = s.test if self.config.among == "test" else [*s.train, *s.val, *s.test]
        positions = np.sort(np.asarray(left_out, dtype=np.int64))
        return data.unseen(positions[labels[positions] >= 0])

    def check(self, data: EvaluationData) -> None:
        """Refuses label budgets, fewer than two groups to leave out, and a single class."""
        self.refuse_held_back_labels(data)
        index, tested = data.dataset.index, self.tested(data)
        groups = len(np.unique(index.groups[tested]))
        self.config.check(index.classes, threshold=False)
        if not (index.labels >= 0).any() or not (len(tested) or data.pretrained_on):
            _ = data.parts  # which says why there are no classes
        if groups < 2 and data.pretrained_on:
            raise UsageError(
                f"To leave one group out, labeled images of at least two groups that the run was "
                f"not pre-trained on are needed, not of {groups}. Pre-train with a larger "
                "--holdout, or say --allow-overlap to test on the others too."
            )
        if groups < 2:
            raise UsageError(
                f"To leave one group out, labeled images of at least two groups are needed, not of "
                f"{groups}. Name the groups with the column 'group' of --labels, or with options "
                "of the reader."
            )
        if len(np.unique(index.labels[tested])) < 2:
            raise UsageError("An evaluation needs labels of at least two classes to learn from.")
        if not self.config.folds and not can_leave_one_out(index, tested):
            raise UsageError(
                "Without one of the groups all labeled images are of one class, so that a probe "
                "cannot be trained. Label more groups: two classes are needed without any of them."
            )

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Tests each group once."""
        features = self._features(model, data)
        rows, test = features.train, features.test
        predictions = np.zeros((len(features.labels), len(features.classes)))
        chosen: dict[int, float] = {}
        for fold in counted(list(self._folds(features)), "fold"):
            out = np.isin(features.groups[rows], features.groups[fold])
            strength, predictions[fold] = self._test(features, rows[~out], fold)
            chosen |= dict.fromkeys(np.unique(features.groups[fold]).tolist(), strength)
        result = self._result(features, predictions[test], chosen)
        alone = _ALONE if len(chosen) == len(test) else ""
        known = _of_pretrained(data, len(chosen))
        remarks = [*filter(None, [alone]), *result.details["remarks"], *known]
        return replace(result, details={**result.details, "remarks": remarks})

    def _result(
        self,
        features: LabeledFeatures,
        predictions: NDArray[np.float64],
        chosen: Mapping[int, float],
    ) -> Result:
        """Scores the predictions (n_test, K), with the C that was chosen for each group."""
        test, classes = features.test, features.classes
        labels, groups = features.labels[test], features.groups[test]
        order = self.config.order(classes)
        if order:
            labels, predictions = in_order(order, classes, labels, predictions)
        pooled = Result.of_classification(
            *(labels, predictions, groups, order or classes, None, order),
            self.config.positive_class(classes, features.rarest),
        )
        scores = {
            g: scores_of(labels[groups == g], predictions[groups == g], bool(order))
            for g in sorted(chosen)
        }
        mean = over_groups(scores, "accuracy", limits={GRADES_APART: (0.0, len(classes) - 1.0)})
        details = {
            **pooled.details,
            **mean.details,
            "groups": [
                {"group": g, "images": int((groups == g).sum()), "C": chosen[g], **scores[g]}
                for g in scores
            ],
            "remarks": _remarks(scores),
            "group_score": "quadratic_agreement" if order else "accuracy",
        }
        return Result(
            {**pooled.metrics, **{f"{m}_per_group": e for m, e in mean.metrics.items()}},
            {**pooled.jackknife, **{f"{m}_per_group": j for m, j in mean.jackknife.items()}},
            "accuracy_per_group" if pooled.main == "accuracy" else pooled.main,
            pooled.rows,
            pooled.by_group if order else mean.by_group,
            details,
            pooled.images,
        )

    def _features(self, model: Pretrained, data: EvaluationData) -> LabeledFeatures:
        """Embeds all labeled images: all are `train`, and the groups to leave out are `test`."""
        self.check(data)
        given, tested = data.splits, self.tested(data)
        known = np.unique(np.concatenate([given.train, given.val, given.test]))
        parts = replace(given, train=known, val=_NONE, test=tested)
        return replace(data, splits=parts).features(model)

    def _folds(self, data: LabeledFeatures) -> Iterator[NDArray[np.int64]]:
        """Yields the rows of the groups that are left out together; each group is left out once."""
        groups, folds = data.groups[data.test], self.config.folds
        few = max(2, min(folds, len(np.unique(groups))))
        splitter = GroupKFold(few) if folds else LeaveOneGroupOut()
        for _, out in splitter.split(groups, groups=groups):
            yield data.test[out]

    def _test(
        self, data: LabeledFeatures, known: NDArray[np.int64], test: NDArray[np.int64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Trains on some rows; returns the C and the probabilities (n, K) of other rows."""
        if len(np.unique(data.labels[known])) < 2:
            number = int(data.groups[test[0]])
            raise UsageError(
                f"Without group {number} all images are of one class, so a probe cannot be "
                "trained. Label more groups, or remove the labels of that group."
            )
        strength = self._choose(data, known)
        return strength, self._predict_from(data, known, test, strength)

    def _choose(self, data: LabeledFeatures, known: NDArray[np.int64]) -> float:
        """Returns the C with the highest likelihood over folds of the known groups.

        The middle C is taken where the known groups allow no folds.
        """
        strengths, groups = self.config.strengths, data.groups[known]
        folds = min(_INNER, len(np.unique(groups)))
        pairs = []
        if folds > 1 and len(strengths) > 1:
            pairs = [(known[a], known[b]) for a, b in GroupKFold(folds).split(known, groups=groups)]
        pairs = [(a, b) for a, b in pairs if len(np.unique(data.labels[a])) > 1]

        def predictions(c: float) -> Predictions:
            parts = [(data.labels[b], self._predict_from(data, a, b, c)) for a, b in pairs]
            labels, probabilities = zip(*parts, strict=True)
            return np.concatenate(labels), np.concatenate(probabilities)

        chosen = choose((c, predictions(c)) for c in strengths) if pairs else None
        return float(chosen[0] if chosen else strengths[len(strengths) // 2])

    def _predict_from(
        self,
        data: LabeledFeatures,
        known: NDArray[np.int64],
        rows: NDArray[np.int64],
        strength: float,
    ) -> NDArray[np.float64]:
        """Returns (n, K) probabilities of some rows, from a probe fitted on known ones."""
        options = self.config
        config = LinearConfig(
            strengths=(strength,), iterations=options.iterations, weights=options.weights
        )
        return Linear(config).predict(replace(data, train=known, val=_NONE, test=rows))[0]


def _remarks(scores: Mapping[int, Mapping[str, float]]) -> list[str]:
    single = [str(group) for group, each in scores.items() if "auroc" not in each]
    if not single:
        return []
    named = ", ".join(single[:10]) + (", ..." if len(single) > 10 else "")
    return [
        f"{len(single)} of {plural(len(scores), 'group')} {agree(len(single), 'has', 'have')} a "
        "single "
        f"class and {agree(len(single), 'counts', 'count')} for the accuracy only (groups "
        f"{named}).",
    ]


def _of_pretrained(data: EvaluationData, tested: int) -> list[str]:
    """Says how many groups are not left out because the run was pre-trained on them."""
    index = data.dataset.index
    labeled = np.flatnonzero(index.labels >= 0)
    groups = len(np.unique(index.groups[labeled]))
    seen = groups - len(np.unique(index.groups[data.unseen(labeled)]))
    if not seen:
        return []
    return [
        f"{tested} of {plural(groups, 'labeled group')} {agree(tested, 'is', 'are')} left out in "
        "turn. The run was pre-trained on "
        f"{seen} of the others, without their labels; the probe learns from all others."
    ]
