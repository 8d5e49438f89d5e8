"""Fills in the checklist of a recipe: what its results show of a guideline's recommendations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..training.recipe import Recommendation
from .comparing.arms import FINETUNE, IMAGENET, KINDS, RANDOM, SCRATCH

KEPT, NOT_KEPT, UNDECIDED = "kept", "not kept", "for you to judge"
_SHARES, _SEEDS = 3, 3
_OF_UNEQUAL = {"balanced_accuracy", "macro_f1", "auroc", "auprc", "kappa"}  # classes

Json = Mapping[str, Any]
Answer = tuple[bool, str]
"""Whether the recommendation was kept, and what was found."""


@dataclass(frozen=True)
class Checked:
    """A recommendation and what came of it.

    Attributes:
        text: The recommendation.
        verdict: "kept", "not kept" or "for you to judge".
        answer: What was found, and where it is not kept, what to do.
    """

    text: str
    verdict: str
    answer: str


def fill_in(
    checklist: Iterable[Recommendation], outcome: Json, compared: Sequence[Json]
) -> list[Checked]:
    """Answers each recommendation from what was run.

    Args:
        checklist: Of the recipe.
        outcome: Content of recipe.json; its runs are looked at.
        compared: Contents of the compare.json of its comparisons; without any, all is left to the
            reader.
    """
    return [_checked(each, outcome, compared) for each in checklist]


def _checked(asked: Recommendation, outcome: Json, compared: Sequence[Json]) -> Checked:
    if not asked.check or not compared:
        return Checked(asked.text, UNDECIDED, asked.advice)
    kept, found = CHECKS[asked.check](outcome, compared)
    return Checked(asked.text, *((KEPT, found) if kept else (NOT_KEPT, f"{found} {asked.advice}")))


def _strategies(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Several objectives."""
    names = sorted({run["objective"] for run in outcome["runs"].values()})
    return len(names) > 1, f"Objectives: {', '.join(names)}."


def _references(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Random and ImageNet weights of the same architecture, with the same labels."""
    arms = [arm for each in compared for arm in each["arms"] if arm["kind"] in KINDS]
    present = {arm["kind"] for arm in arms if not arm["unavailable"]}
    absent = {arm["kind"]: arm["unavailable"] for arm in arms if arm["unavailable"]}
    kinds = [kind for kind in KINDS if kind in present]
    missing = "".join(f" {kind} is missing: {why}" for kind, why in absent.items())
    encoders = ", ".join(sorted({each["encoder"] for each in compared}))
    both = bool(present & {SCRATCH, RANDOM}) and IMAGENET in present
    return both, f"Beside the runs: {', '.join(kinds) or 'nothing'}; encoder {encoders}.{missing}"


def _natural_weights(outcome: Json, compared: Sequence[Json]) -> Answer:
    """A pre-training that starts from weights."""
    names = [name for name, run in outcome["runs"].items() if run["start"] != SCRATCH]
    return bool(names), f"Runs that start from weights: {', '.join(names) or 'none'}."


def _adaptation(outcome: Json, compared: Sequence[Json]) -> Answer:
    """All layers trained, and frozen features."""
    names = sorted({arm["evaluation"] for each in compared for arm in each["arms"]})
    return FINETUNE in names and len(names) > 1, f"Evaluations: {', '.join(names)}."


def _label_shares(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Several numbers of labels."""
    numbers = sorted({sum(b["labels"]) // len(b["labels"]) for c in compared for b in c["budgets"]})
    return len(numbers) >= _SHARES, f"Labeled images: {', '.join(f'{n:,}' for n in numbers)}."


def _repeats(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Several seeds, and intervals."""
    seeds = min(each["seeds"] for each in compared)
    draws = "draw" if seeds == 1 else "draws"
    found = f"At least {seeds} {draws} of labels and weights for each figure; intervals of 95 %."
    return seeds >= _SEEDS, found


def _metrics(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Metrics that say something where classes are unequal."""
    names = {m for each in compared for row in each["results"] for m in row["metrics"]}
    words = ", ".join(sorted(name.replace("_", " ") for name in names))
    return bool(names & _OF_UNEQUAL), f"Metrics: {words}."


def _groups_apart(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Images of one patient are in one part, and pre-training saw no patient of the test part."""
    data = compared[0]["data"]
    shared = sum(count for each in compared for count in each["leak"]["shared"].values())
    found = (
        f"The test part has {data['test']:,} images of {data['test_groups']:,} groups; "
        f"{shared or 'none'} of these groups seen in pre-training."
    )
    return data["test_groups"] < data["test"] and not shared, found


def _record(outcome: Json, compared: Sequence[Json]) -> Answer:
    """Settings, versions, machine and time are kept: always, so that this tells where."""
    seconds = sum(run["seconds"] for run in outcome["runs"].values())
    return True, (
        "Settings, versions, the machine, weights and the result of each draw are in the folder of "
        "the recipe. The split follows from labels and settings; no list of it is written. "
        f"Pre-training took {seconds:,.0f} s."
    )


CHECKS: Mapping[str, Callable[[Json, Sequence[Json]], Answer]] = {
    "strategies": _strategies,
    "references": _references,
    "natural-weights": _natural_weights,
    "adaptation": _adaptation,
    "label-shares": _label_shares,
    "repeats": _repeats,
    "metrics": _metrics,
    "groups-apart": _groups_apart,
    "record": _record,
}
"""How each check of a recommendation is answered."""
