"""What was understood of the images of a run, for its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...data.inspection import inspect_dataset
from ...evaluation.data import EvaluationData
from ...evaluation.refusals import refusals
from ..inspection import channel_rows, class_rows, evaluation_sentences, fact_rows
from .facts import scrub

_LOOKED_AT = 256


@dataclass(frozen=True)
class Understood:
    """Facts, tables whose first row is a heading, and sentences; no name of a file is in them."""

    facts: Sequence[tuple[str, str]]
    channels: Sequence[Sequence[str]]
    classes: Sequence[Sequence[str]]
    evaluations: Sequence[str]
    remarks: Sequence[str]
    warnings: Sequence[str]


def understood(data: EvaluationData) -> Understood:
    """Looks at a sample of the images, and removes whatever may name a patient."""
    facts = inspect_dataset(data.dataset, data.splits, _LOOKED_AT)
    facts = replace(facts, copies=replace(facts.copies, example=()))
    return Understood(
        list(fact_rows(facts)),
        channel_rows(facts),
        class_rows(facts),
        evaluation_sentences(refusals(data)),
        *([scrub(sentence) for sentence in each] for each in (facts.remarks, facts.warnings)),
    )
