"""Tells whether a run has learned its pretext task, from the metrics that it recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .collapse import COLLAPSED
from .later import metric_later
from .recipe import Pretext
from .run import Run

LEARNED, NOT_LEARNED, NOT_JUDGED = "learned", "not learned", "not judged"
TRAINING, _LATER = "training", "later"


@dataclass(frozen=True)
class Judgement:
    """What a run has learned of its pretext task.

    Attributes:
        metric: Name of the metric.
        first: Its value at the first record.
        last: Its mean over the last epoch, on augmented training images, or its value on later
            ones.
        reference: Value of the reference; None if it is a metric that was not recorded.
        learned_at: Value from which on the task counts as learned.
        about: What the reference is.
        verdict: "learned", "not learned" or "not judged".
        reason: Why it was not judged, "" if it was.
        measured_on: "training" or "later", the images that `last` is of.
        collapsed: Whether the representation has collapsed; then nothing was learned.
    """

    metric: str
    first: float | None
    last: float | None
    reference: float | None
    learned_at: float
    about: str
    verdict: str
    reason: str = ""
    collapsed: bool = False
    measured_on: str = TRAINING


def judge_pretext(run: Run, pretext: Pretext) -> Judgement:
    """Compares the metric of the last epoch with the reference.

    Args:
        run: A run whose training has ended.
        pretext: The measure and its reference.
    """
    records = _records(run, pretext.metric)
    first = float(records[0][pretext.metric]) if records else None
    last = _last(run, pretext, pretext.metric)
    named = pretext.reference
    reference = _last(run, pretext, named) if isinstance(named, str) else named
    collapsed = run.verdict == COLLAPSED
    verdict = NOT_LEARNED if collapsed else _verdict(pretext, last, reference)
    reason = _why_not(run, pretext, last, reference)
    return Judgement(
        pretext.metric,
        first,
        last,
        reference,
        pretext.learned,
        pretext.about,
        NOT_JUDGED if reason else verdict,
        reason,
        collapsed,
        pretext.measured_on,
    )


def judge_pretexts(runs: Sequence[Run], pretext: Pretext) -> Judgement:
    """Judges runs of one group each together: by the mean of their metrics, groups alike.

    Args:
        runs: At least one run whose training has ended.
        pretext: The measure and its reference.
    """
    each = [judge_pretext(run, pretext) for run in runs]
    first, last = _mean([j.first for j in each]), _mean([j.last for j in each])
    reference = _mean([j.reference for j in each])
    collapsed = any(j.collapsed for j in each)
    reason = next((j.reason for j in each if j.reason), "")
    verdict = NOT_LEARNED if collapsed else _verdict(pretext, last, reference)
    verdict = NOT_JUDGED if reason else verdict
    return replace(
        each[0],
        first=first,
        last=last,
        reference=reference,
        verdict=verdict,
        reason=reason,
        collapsed=collapsed,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _verdict(pretext: Pretext, last: float | None, reference: float | None) -> str:
    """Returns whether a value is beyond the reference, and as good as `learned`."""
    sign = 1 if pretext.better == "higher" else -1
    if last is None or reference is None:
        return NOT_LEARNED
    learned = sign * last >= sign * pretext.learned and sign * last > sign * reference
    return LEARNED if learned else NOT_LEARNED


def _records(run: Run, metric: str) -> list[dict[str, Any]]:
    return [r for r in run.lines(run.metrics) if isinstance(r.get(metric), int | float)]


def _last(run: Run, pretext: Pretext, metric: str) -> float | None:
    """Returns a metric at the end of a run, None if it was not recorded."""
    if pretext.measured_on == _LATER:
        return metric_later(run, metric)
    records = _records(run, metric)
    return _of_last_epoch(records, metric) if records else None


def _of_last_epoch(records: list[dict[str, Any]], metric: str) -> float:
    """Returns the mean over the steps of the last epoch; a record is a mean over its steps."""
    begin = math.ceil(records[-1]["epoch"]) - 1
    steps, total, before = 0, 0.0, 0
    for record in records:
        if record["epoch"] > begin:
            steps += record["step"] - before
            total += (record["step"] - before) * record[metric]
        before = record["step"]
    return float(total / steps)


def _why_not(run: Run, pretext: Pretext, last: float | None, reference: float | None) -> str:
    """Returns why a run cannot be judged, "" if it can."""
    if last is None and pretext.measured_on == _LATER:
        return f"there are no images after data.until, or no {pretext.metric} of them"
    if last is None:
        return f"the run has recorded no {pretext.metric}"
    if reference is None:
        return f"the run has recorded no {pretext.reference}, which is the reference"
    config = run.config.model_dump()
    config["train"]["batch_size"] = run.read_json("manifest.json")["batch_size"]
    for key, wanted in pretext.holds_for.items():
        value = _at(config, key)
        if value != wanted:
            return f"the reference holds for {key} = {wanted}, this run has {value}"
    return ""


def _at(settings: Mapping[str, Any], key: str) -> Any:
    """Returns the value at a dotted key, None if there is none."""
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
