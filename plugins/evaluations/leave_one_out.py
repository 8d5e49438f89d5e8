"""Leave one group out: each subject, patient or scene is tested by a probe of all the others.

With subjects as groups this is LOSO. C is chosen by folds of the other groups, inside of each
fold: Bias in error estimation when using cross-validation for model selection, Varma, Simon, 2006.
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
from ...evaluation import EvaluationData, LabeledFeatures, Predictions, Pretrained, Result, choose
from .linear import Linear, LinearConfig

_INNER = 5  # folds that C is chosen by
_FEW = 6  # groups, below which no signed-rank test gets under 0.05
_NONE: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


def scores_of(labels: NDArray[Any], answers: NDArray[Any]) -> dict[str, float]:
    """Judges what was said of one group.

    Args:
        labels: (n,) class numbers.
        answers: (n, K) probabilities.

    Returns:
        The accuracy and, where the group has two classes at least, what needs them: balanced
        accuracy, macro F1 and the area under the ROC curve, a mean over the classes that it has.
    """
    said, there = answers.argmax(axis=1), np.unique(labels)
    found = {"accuracy": float((said == labels).mean())}
    if len(there) < 2:
        return found
    recall = recall_score(labels, said, labels=there, average="macro", zero_division=0)
    areas = [roc_auc_score(labels == k, answers[:, k]) for k in there]
    return found | {
        "balanced_accuracy": float(recall),
        "macro_f1": float(f1_score(labels, said, average="macro", zero_division=0)),
        "auroc": float(np.mean(areas)),
    }


def few_groups(groups: int) -> list[str]:
    """Returns the remark that intervals over so few groups say little, if they are few."""
    if groups >= _FEW:
        return []
    return [f"Intervals over {groups} groups are too narrow to go by; {_FEW} are the least."]


def over_groups(scores: Mapping[int, Mapping[str, float]], main: str) -> Result:
    """Averages scores of groups, each counting once; the intervals are over groups.

    Args:
        scores: By the number of the group, in order, and by name. A group may lack a score: then
            the mean is over the others, and there is none below two of them.
        main: The score that arms are preferred by; every group has it.

    Returns:
        Means; details tell the deviation between groups and how many groups a mean is over.
    """
    parts: dict[str, Result] = {}
    between: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for each in scores.values() for name in each):
        groups = [group for group, each in scores.items() if name in each]
        values = np.array([scores[group][name] for group in groups])
        if len(groups) >= 2:
            parts[name] = Result.of_means({name: values}, np.array(groups), name)
            between[name] = {"deviation": float(values.std(ddof=1)), "groups": len(groups)}
    return Result(
        {name: part.metrics[name] for name, part in parts.items()},
        {name: part.draws[name] for name, part in parts.items()},
        main,
        by_group=np.array([each[main] for each in scores.values()]),
        details={"between_groups": between},
    )


class LeaveOneOutConfig(LinearConfig):
    """Options of the probe, and which groups are left out."""

    among: Annotated[
        Literal["all", "test"],
        Field(
            description="groups that are left out in turn: all labeled ones, or those of the test "
            "part, as is right for a run that was pre-trained on the others"
        ),
    ] = "all"
    folds: Annotated[
        int, Field(ge=0, description="0: each group on its own; else so many folds of groups")
    ] = 0


class LeaveOneOut(Evaluation):
    """How well does a linear layer do on a subject that it has learned nothing of?

    Metrics are of all answers together and, with "_per_group", means over groups. Groups of one
    class count for the accuracy only. The encoder is not trained here: a run must not have been
    pre-trained on the groups that are left out.
    """

    Config = LeaveOneOutConfig
    quick: ClassVar[Mapping[str, Any]] = {"folds": 2, "strengths": (0.1, 1.0), "iterations": 20}

    def tested(self, data: EvaluationData) -> NDArray[np.int64]:
        """Returns the positions of the images that are reported on."""
        s, labels = data.splits, data.dataset.index.labels
        left_out = s.test if self.config.among == "test" else [*s.train, *s.val, *s.test]
        positions = np.sort(np.asarray(left_out, dtype=np.int64))
        return positions[labels[positions] >= 0]

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Tests each group once."""
        found = self._features(model, data)
        rows = found.train
        answers = np.zeros((len(found.labels), len(found.classes)))
        chosen: dict[int, float] = {}
        for test in self._folds(found):
            out = np.isin(found.groups[rows], found.groups[test])
            strength, answers[test] = self._test(found, rows[~out], test)
            chosen |= dict.fromkeys(np.unique(found.groups[test]).tolist(), strength)
        labels, groups = found.labels[found.test], found.groups[found.test]
        said = answers[found.test]
        pooled = Result.of_classification(labels, said, groups, found.classes)
        scores = {g: scores_of(labels[groups == g], said[groups == g]) for g in sorted(chosen)}
        mean = over_groups(scores, "accuracy")
        details = {
            **pooled.details,
            **mean.details,
            "groups": [
                {"group": g, "images": int((groups == g).sum()), "C": chosen[g], **scores[g]}
                for g in scores
            ],
            "remarks": _remarks(scores),
        }
        return Result(
            {**pooled.metrics, **{f"{m}_per_group": e for m, e in mean.metrics.items()}},
            {**pooled.draws, **{f"{m}_per_group": d for m, d in mean.draws.items()}},
            "accuracy_per_group",
            pooled.rows,
            mean.by_group,
            details,
        )

    def _features(self, model: Pretrained, data: EvaluationData) -> LabeledFeatures:
        """Embeds all labeled images as `train`, of which `test` are of groups to leave out.

        Raises:
            UsageError: If there are not two of these.
        """
        given, tested = data.splits, self.tested(data)
        groups = len(np.unique(data.dataset.index.groups[tested]))
        if groups < 2:
            raise UsageError(
                f"To leave one out, labeled images of two groups are needed, not of {groups}. Say "
                "who is who with the column 'group' of --labels, or with the reader's options."
            )
        known = np.unique(np.concatenate([given.train, given.val, given.test]))
        parts = replace(given, train=known, val=_NONE, test=tested)
        return replace(data, splits=parts).features(model)

    def _folds(self, found: LabeledFeatures) -> Iterator[NDArray[np.int64]]:
        """Yields the rows that are left out together, such that each is once."""
        groups, folds = found.groups[found.test], self.config.folds
        few = max(2, min(folds, len(np.unique(groups))))
        splitter = GroupKFold(few) if folds else LeaveOneGroupOut()
        for _, out in splitter.split(groups, groups=groups):
            yield found.test[out]

    def _test(
        self, found: LabeledFeatures, known: NDArray[np.int64], test: NDArray[np.int64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Learns from some rows; returns C and the probabilities of others, (n, K)."""
        if len(np.unique(found.labels[known])) < 2:
            number = int(found.groups[test[0]])
            raise UsageError(
                f"Without group {number} the images are of one class only, so that there is "
                "nothing to learn from. Label more groups, or leave that group out."
            )
        strength = self._choose(found, known)
        return strength, self._predict_from(found, known, test, strength)

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
    few = few_groups(len(scores))
    single = [str(group) for group, each in scores.items() if len(each) == 1]
    if not single:
        return few
    named = ", ".join(single[:10]) + (", ..." if len(single) > 10 else "")
    return [
        f"{len(single)} of {len(scores)} groups have one class only and count for the accuracy "
        f"alone (numbers {named}).",
        *few,
    ]
