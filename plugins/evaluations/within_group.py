"""Within-group evaluation: for each subject, train on earlier images and test on later ones.

The within-subject evaluation of MOABB (Jayaram, Barachant, 2018, https://arxiv.org/abs/1805.06427)
in the order of time, and the personalization of SIM-CNN (Eom, Eom, Washington, 2023,
https://doi.org/10.1101/2023.08.25.23294640).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ... import Config, Evaluation, UsageError, validate
from ...evaluation import (
    EvaluationData,
    Pretrained,
    Result,
    evaluations,
    over_groups,
    paired_difference,
)

Positions = NDArray[np.int64]


class WithinGroupConfig(Config):
    """Options of the evaluation."""

    evaluation: Annotated[
        str, Field(description="name of the evaluation that runs in each group")
    ] = "linear"
    options: dict[str, Any] = Field(default_factory=dict, description="options of that evaluation")
    train: Annotated[
        float,
        Field(
            gt=0, lt=1, description="share of a group's labeled images, the earliest, to train on"
        ),
    ] = 0.6
    val: Annotated[
        float, Field(gt=0, lt=1, description="share of them, next in time, for validation")
    ] = 0.2
    gap: Annotated[
        float,
        Field(
            ge=0,
            description="minimum time between images of two parts, in units of the last column of "
            "positions (seconds); at least a window's length if windows overlap",
        ),
    ] = 60.0
    minimum: Annotated[
        int, Field(ge=1, description="minimum number of images per class and part of a group")
    ] = 2
    others: Annotated[
        bool,
        Field(description="further tests, of models that were trained on all other groups"),
    ] = True

    @model_validator(mode="after")
    def _leaves_a_test_part(self) -> WithinGroupConfig:
        if self.train + self.val >= 1:
            raise ValueError("train and val add up to 1 or more, so no test part is left")
        return self


def cut_in_time(
    positions: NDArray[Any], train: float, val: float, gap: float
) -> tuple[Positions, Positions, Positions]:
    """Splits images into three parts in the order of time.

    Args:
        positions: (n, P) the recording, in P - 1 columns, and the time in it.
        train: Share of the images, the earliest.
        val: Share of the images, next in time.
        gap: Minimum time between images of two parts of a recording. Images of the earlier part
            that are closer to the later part are left out.

    Returns:
        Rows of the three parts, in the order of time.
    """
    order = np.lexsort(positions.T[::-1])
    ends = np.round(np.cumsum([train, val]) * len(order)).astype(int)
    first, second, third = np.split(order, ends)

    def before(rows: Positions, later: Positions) -> Positions:
        if not len(later):
            return rows
        start = positions[later[0]]
        elsewhere = (positions[rows, :-1] != start[:-1]).any(axis=1)
        distant: Positions = rows[elsewhere | (positions[rows, -1] + gap <= start[-1])]
        return distant

    return before(before(first, second), third), before(second, third), third


class WithinGroup(Evaluation):
    """How accurate is a model on a subject's later images after training on its earlier ones?

    Metrics are means over groups with equal weights, with intervals over groups; those ending in
    "_of_others" are of models that were trained on the earlier images of all other groups. All
    labeled groups take part, whichever part of the data they are in, unless a part of their time
    has too few images of a class; groups are named by number. The encoder is not trained here: a
    run must not have been pre-trained on the later images.
    """

    Config = WithinGroupConfig
    quick: ClassVar[Mapping[str, Any]] = {"gap": 1.0, "minimum": 1, "others": False}

    def check(self, data: EvaluationData) -> None:
        """Refuses images without time, and fewer than two groups that can be split in time."""
        self.cut(data)

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the images that are reported on."""
        return np.sort(np.concatenate([parts.test for parts in self.cut(data)[0].values()]))

    def cut(self, data: EvaluationData) -> tuple[dict[int, Any], dict[int, str]]:
        """Splits the labeled images of each group in time.

        Returns:
            The parts by group number, and the reasons why other groups are left out.

        Raises:
            UsageError: If images have no time, or fewer than two groups can be used.
        """
        index, given, options = data.dataset.index, data.splits, self.config
        if not index.positions.shape[1]:
            raise UsageError(
                "These images have no time, so a group cannot be split in time. Use a reader of "
                "recordings, or the evaluation 'leave_one_out', which needs no time."
            )
        rows = np.sort(np.concatenate([given.train, given.val, given.test]))
        rows = rows[index.labels[rows] >= 0]
        if not len(rows):
            _ = data.parts  # which says why there are no classes
        kept, left_out = {}, {}
        for group in np.unique(index.groups[rows]).tolist():
            of_group = rows[index.groups[rows] == group]
            cuts = cut_in_time(index.positions[of_group], options.train, options.val, options.gap)
            train, val, test = (np.sort(of_group[cut]) for cut in cuts)
            parts = replace(given, train=train, val=val, test=test)
            reason = _lacking(parts, index.labels, index.labels[of_group], options.minimum)
            if reason:
                left_out[group] = reason
            else:
                kept[group] = parts
        if len(kept) < 2:
            first = f" Group {min(left_out)} {left_out[min(left_out)]}." if left_out else ""
            raise UsageError(
                f"{len(kept)} of {len(kept) + len(left_out)} groups can be split in time; two are "
                f"needed.{first} Change train, val, gap or minimum of the evaluation."
            )
        return kept, left_out

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Runs the evaluation within each group, and with training on all other groups."""
        kept, left_out = self.cut(data)
        options = self.config
        kind: type[Evaluation] = evaluations[options.evaluation]
        evaluation = kind(validate(kind.Config, options.options, "options"))
        within = {g: evaluation.evaluate(model, replace(data, splits=s)) for g, s in kept.items()}
        main = "balanced_accuracy"
        if any(main not in result.metrics for result in within.values()):
            main = next(iter(within.values())).main
        images = sum(len(parts.test) for parts in kept.values())
        mean = over_groups({g: _values(result) for g, result in within.items()}, main, images)
        rows = [_row(g, kept[g], result) for g, result in within.items()]
        details = {**mean.details, "groups": rows, "remarks": _remarks(kept, left_out)}
        details["left_out"] = [{"group": g, "reason": why} for g, why in left_out.items()]
        details["evaluation"] = options.evaluation
        mean = replace(mean, details=details)
        if not options.others:
            return mean
        general = {
            g: evaluation.evaluate(model, replace(data, splits=_of_others(kept, g))) for g in kept
        }
        return _beside(mean, over_groups({g: _values(r) for g, r in general.items()}, main))


def _lacking(parts: Any, labels: NDArray[Any], of_group: NDArray[Any], minimum: int) -> str:
    """Returns why a group cannot be used; "" if it can."""
    classes = np.unique(of_group)
    if len(classes) < 2:
        return "has images of a single class"
    for name, rows in (("training", parts.train), ("validation", parts.val), ("test", parts.test)):
        fewest = min(int((labels[rows] == k).sum()) for k in classes)
        if fewest < minimum:
            return f"has {fewest} images of a class in its {name} part, not {minimum}"
    return ""


def _of_others(kept: Mapping[int, Any], group: int) -> Any:
    """Returns the earlier parts of all other groups, with the test part of this group."""
    others = [parts for other, parts in kept.items() if other != group]
    train = np.sort(np.concatenate([parts.train for parts in others]))
    return replace(
        kept[group], train=train, val=np.sort(np.concatenate([parts.val for parts in others]))
    )


def _values(result: Result) -> dict[str, float]:
    return {name: e.value for name, e in result.metrics.items() if np.isfinite(e.value)}


def _row(group: int, parts: Any, result: Result) -> dict[str, Any]:
    """Returns the row of a group: number of images of each part, metrics, chosen settings."""
    counts = {"train": len(parts.train), "val": len(parts.val), "images": len(parts.test)}
    chosen = {k: v for k, v in result.details.items() if k in ("C", "epochs")}
    confusion = {k: v for k, v in result.details.items() if k == "confusion"}
    return {"group": group, **counts, **chosen, **_values(result), **confusion}


def _remarks(kept: Mapping[int, Any], left_out: Mapping[int, str]) -> list[str]:
    if not left_out:
        return []
    total = len(kept) + len(left_out)
    named = [f"{group} {why}" for group, why in list(left_out.items())[:3]]
    more = "; ..." if len(left_out) > 3 else ""
    return [f"{len(left_out)} of {total} groups are left out: {'; '.join(named)}{more}."]


def _beside(within: Result, others: Result) -> Result:
    """Adds the metrics of models that were trained on other groups to a result."""
    values = others.by_group.tolist()
    rows = [
        {**row, f"{within.main}_of_others": value}
        for row, value in zip(within.details["groups"], values, strict=True)
    ]
    gain = asdict(paired_difference(within, others, within.main))
    return replace(
        within,
        metrics={**within.metrics, **{f"{m}_of_others": e for m, e in others.metrics.items()}},
        jackknife={
            **within.jackknife,
            **{f"{m}_of_others": j for m, j in others.jackknife.items()},
        },
        details={**within.details, "groups": rows, "own_against_others": gain},
    )
