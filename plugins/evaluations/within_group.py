"""Within-group evaluation: for each subject, train on earlier images and test on later ones.

The within-subject evaluation of MOABB (Jayaram, Barachant, 2018, https://arxiv.org/abs/1805.06427)
in the order of time, and the personalization of SIM-CNN (Eom, Eom, Washington, 2023,
https://doi.org/10.1101/2023.08.25.23294640).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ... import Evaluation, Index, UsageError
from ...data import agree, cut_in_time, natural_key, plural
from ...evaluation import (
    EvaluationData,
    GradesConfig,
    Pretrained,
    Result,
    counted,
    over_groups,
    paired_difference,
)
from .cuts import Positions, cut_by_run, run_of
from .inner import InnerConfig


class WithinGroupConfig(InnerConfig):
    """Options of the evaluation."""

    train: Annotated[
        float,
        Field(
            gt=0, lt=1, description="share of a group's labeled images, the earliest, to train on"
        ),
    ] = 0.6
    val: Annotated[
        float, Field(gt=0, lt=1, description="share of them, next in time, for validation")
    ] = 0.2
    parts: Annotated[
        str,
        Field(
            description="what the parts of a group are: time (shares of its images in the order of "
            "time), recording (its last recording is the test part), or a regular expression such "
            r"as 'run-(\d+)' whose match in the names of the images names the run or session; the "
            "last runs are the test part"
        ),
    ] = "time"
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

    @field_validator("parts")
    @classmethod
    def _is_a_pattern(cls, parts: str) -> str:
        try:
            re.compile(parts)
        except re.error as error:
            raise ValueError(f"time, recording or a regular expression ({error})") from error
        return parts

    @model_validator(mode="after")
    def _leaves_a_test_part(self) -> WithinGroupConfig:
        if self.train + self.val >= 1:
            raise ValueError("train and val add up to 1 or more, so no test part is left")
        return self


class WithinGroup(Evaluation):
    """How accurate is a model on a subject's later images after training on its earlier ones?

    Metrics are means over groups with equal weights, with intervals over groups; those ending in
    "_of_others" are of models that were trained on the earlier images of all other groups. All
    labeled groups take part, whichever part of the data they are in, unless one of their parts has
    too few images of a class; groups are named by number. The encoder is not trained here: no
    metric is reported of groups whose test images, or later ones, a run was pre-trained on, and the
    models of others learn from them.
    """

    Config = WithinGroupConfig
    within_groups = True
    tested_like_finetuning = False
    quick: ClassVar[Mapping[str, Any]] = {"gap": 1.0, "minimum": 1, "others": False}

    def check(self, data: EvaluationData) -> None:
        """Refuses label budgets, images without time or runs, and fewer than two groups."""
        inner = self.config.chosen()
        if isinstance(inner.config, GradesConfig):
            inner.config.check(data.dataset.index.classes, threshold=False)
        self._reported(data, self.cut(data)[0])

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the images that are reported on."""
        kept = self._reported(data, self.cut(data)[0])
        return np.sort(np.concatenate([parts.test for parts in kept.values()]))

    def _reported(self, data: EvaluationData, kept: Mapping[int, Any]) -> dict[int, Any]:
        """Returns the parts of the groups that the run was not pre-trained on.

        Raises:
            UsageError: If there are fewer than two.
        """
        unseen = {
            g: parts
            for g, parts in kept.items()
            if len(data.unseen(parts.test, later=True)) == len(parts.test)
        }
        if len(unseen) < 2:
            raise UsageError(
                f"Two groups that can be split and that the run was not pre-trained on are needed, "
                f"not {len(unseen)}. Pre-train with a larger --holdout or a smaller data.until, or "
                "say --allow-overlap to test on the others too."
            )
        return unseen

    def cut(self, data: EvaluationData) -> tuple[dict[int, Any], dict[int, str]]:
        """Splits the labeled images of each group, in time or by runs.

        Returns:
            The parts by group number, and the reasons why other groups are left out.

        Raises:
            UsageError: If images have no time or runs, fewer than two groups can be used, or
                labels were held back.
        """
        self.refuse_held_back_labels(data)
        index, given, options = data.dataset.index, data.splits, self.config
        if options.parts in ("time", "recording") and not index.positions.shape[1]:
            raise UsageError(
                "These images have no time, so a group cannot be split in time. Use a reader of "
                "recordings, let within_group.parts name runs by a regular expression, or use the "
                "evaluation 'leave_one_out', which needs no time."
            )
        rows = np.sort(np.concatenate([given.train, given.val, given.test]))
        rows = rows[index.labels[rows] >= 0]
        if not len(rows):
            _ = data.parts  # which says why there are no classes
        kept, left_out = {}, {}
        for group in np.unique(index.groups[rows]).tolist():
            of_group = rows[index.groups[rows] == group]
            train, val, test = (np.sort(of_group[cut]) for cut in self._parts(index, of_group))
            parts = replace(given, train=train, val=val, test=test)
            checked = {"training": train, "validation": val, "test": test}
            if options.parts != "time" and len(train) and not len(val):
                del checked["validation"]  # of two runs
            reason = _lacking(checked, index.labels, index.labels[of_group], options.minimum)
            if reason:
                left_out[group] = reason
            else:
                kept[group] = parts
        if len(kept) < 2:
            first = f" Group {min(left_out)} {left_out[min(left_out)]}." if left_out else ""
            raise UsageError(
                f"{len(kept)} of {len(kept) + len(left_out)} groups can be split in time; two are "
                f"needed.{first} Change train, val, gap, minimum or parts of the evaluation."
            )
        return kept, left_out

    def _parts(self, index: Index, rows: Positions) -> tuple[Positions, Positions, Positions]:
        """Splits the images of a group; returns positions in `rows`."""
        options, positions = self.config, index.positions[rows]
        shares = options.train, options.val, options.gap
        if options.parts == "time":
            return cut_in_time(positions, *shares)
        if options.parts == "recording":
            runs = np.unique(positions[:, :-1], axis=0, return_inverse=True)[1]
            return cut_by_run(runs.reshape(-1), positions, *shares)
        names = [run_of(index.key(i), options.parts) for i in rows.tolist()]
        order = sorted(set(names), key=natural_key)
        return cut_by_run(np.array([order.index(name) for name in names]), positions, *shares)

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Runs the evaluation within each group, and with training on all other groups."""
        kept, left_out = self.cut(data)
        reported, options = self._reported(data, kept), self.config
        evaluation = options.chosen()
        data = replace(data, whole=data.whole or data.splits)
        within = {
            g: evaluation.evaluate(_model_for(model, data, s), replace(data, splits=s))
            for g, s in counted(reported.items(), "group")
        }
        first = next(iter(within.values()))
        grades = first.details.get("grades", [])
        main = first.main if grades else "balanced_accuracy"
        if any(main not in result.metrics for result in within.values()):
            main = first.main
        images = sum(len(parts.test) for parts in reported.values())
        limits = {name: kept.limits for name, kept in first.jackknife.items()}
        mean = over_groups({g: _values(r) for g, r in within.items()}, main, images, limits)
        rows = [_row(g, kept[g], result) for g, result in within.items()]
        remarks = _remarks(kept, left_out, len(reported))
        details = {**mean.details, "groups": rows, "remarks": remarks, "grades": grades}
        details["left_out"] = [{"group": g, "reason": why} for g, why in left_out.items()]
        details |= {"evaluation": options.evaluation, "positive": first.positive}
        mean = replace(mean, details=details)
        if not options.others:
            return mean
        general = {
            g: evaluation.evaluate(
                _model_for(model, data, kept[g]), replace(data, splits=_of_others(kept, g))
            )
            for g in counted(reported, "group")
        }
        values = {g: _values(result) for g, result in general.items()}
        return _beside(mean, over_groups(values, main, limits=limits))


def _model_for(model: Pretrained, data: EvaluationData, parts: Any) -> Pretrained:
    """Returns the encoder for a group: its own, where each group has one."""
    [group] = data.dataset.index.group_hashes(parts.test)
    return model.for_group(group)


def _lacking(
    parts: Mapping[str, Positions], labels: NDArray[Any], of_group: NDArray[Any], minimum: int
) -> str:
    """Returns why a group cannot be used; "" if it can."""
    classes = np.unique(of_group)
    if len(classes) < 2:
        return "has images of a single class"
    for name, rows in parts.items():
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


def _remarks(kept: Mapping[int, Any], left_out: Mapping[int, str], reported: int) -> list[str]:
    remarks = []
    if left_out:
        total = len(kept) + len(left_out)
        named = [f"{group} {why}" for group, why in list(left_out.items())[:3]]
        more = "; ..." if len(left_out) > 3 else ""
        are = agree(len(left_out), "is", "are")
        out = f"{len(left_out)} of {plural(total, 'group')} {are} left out"
        remarks.append(f"{out}: {'; '.join(named)}{more}.")
    if reported < len(kept):
        remarks.append(
            f"{plural(len(kept) - reported, 'group')} that the run was pre-trained on: nothing is "
            "reported there, and the models of others learn from the labels."
        )
    return remarks


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
