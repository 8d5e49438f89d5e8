"""Refuses evaluations on groups that a run was pre-trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.dataset import Dataset
from ..core.errors import UsageError
from ..data.counting import agree, plural
from ..training.manifest import trained_on
from ..training.run import Run
from .data import EvaluationData, after
from .evaluation import Evaluation


def groups_of(*runs: Run | None) -> frozenset[str]:
    """Returns hashes of the groups that any of some runs, or its start, was pre-trained on."""
    return frozenset(group for part in _parts(*runs) for group in part["groups"])


def _parts(*runs: Run | None) -> list[Mapping[str, Any]]:
    return [part for run in runs if run for part in trained_on(run.read_json("manifest.json"))]


def until_of(*runs: Run | None) -> dict[str, Sequence[float]]:
    """Returns where what no run was pre-trained on begins, by the group's hash.

    Groups that a run was pre-trained on as a whole are left out.
    """
    pairs = [(part["groups"], part.get("until", {})) for part in _parts(*runs)]
    whole = {group for groups, until in pairs for group in groups if group not in until}
    latest: dict[str, Sequence[float]] = {}
    for _, until in pairs:
        for group in until.keys() - whole:
            latest[group] = max(latest.get(group, until[group]), until[group])
    return latest


def seen_by(*runs: Run | None) -> tuple[frozenset[str], dict[str, Sequence[float]]]:
    """Returns what some runs were pre-trained on: see `groups_of` and `until_of`."""
    return groups_of(*runs), until_of(*runs)


def refuse_overlap(
    run: Run, data: EvaluationData, allow: bool, evaluations: Iterable[Evaluation] = ()
) -> int:
    """Counts the test groups that the run was pre-trained on: those that evaluations report on.

    Args:
        run: Its manifest has hashes of the groups, those of its start included.
        data: Its test part counts always.
        allow: Do not refuse.
        evaluations: Which evaluations will be run. Those within groups may test on images after
            those of a group that the run was pre-trained on.

    Raises:
        UsageError: If there are any, or none can be found because the groups of the same images
            were declared in another way, and that was not allowed.
    """
    trained, until, asked = groups_of(run), until_of(run), list(evaluations)
    index = data.dataset.index
    if not allow:
        _refuse_other_groups(run, data.dataset)
    in_time = bool(asked) and all(each.within_groups for each in asked)
    shared = (trained - until.keys() if in_time else trained) & index.group_hashes(data.splits.test)
    if shared and not allow:
        raise UsageError(
            f"{plural(len(shared), 'group')} of the test part "
            f"{agree(len(shared), 'was', 'were')} pre-trained on, so its result would "
            "flatter the run. Pre-train with the same --data (its test part is then left out), or "
            "say --allow-overlap."
        )
    reported = set(shared)
    for each in asked:
        tested = each.tested(data)
        if each.within_groups:
            tested = tested[~after(index, tested, until)]
        reported |= trained & index.group_hashes(tested)
    if len(reported) > len(shared) and not allow:
        how = "and chosen by their labels" if _was_chosen(run) else "without their labels"
        raise UsageError(
            f"{plural(len(reported), 'group')} that an evaluation reports on "
            f"{agree(len(reported), 'was', 'were')} pre-trained on, {how}, so its result would "
            "flatter the run. Pre-train on other groups, set the evaluation to report on the test "
            "part alone where it can, or say --allow-overlap."
        )
    return len(reported)


def _was_chosen(run: Run) -> bool:
    """Tells whether labels of the images that a run was trained on chose what it hands back."""
    return run.selection.is_file() and "candidates" in run.read_json(run.selection.name)


def _refuse_other_groups(run: Run, dataset: Dataset) -> None:
    """Raises UsageError if groups of the same images are declared otherwise than at pre-training.

    Their hashes then have nothing in common, so that no overlap would be found. Two tables may
    declare the same groups: they differ only if no group is found again.
    """
    manifest = run.read_json("manifest.json")
    then, trained = manifest.get("groups_from"), frozenset(manifest["groups"])
    now = dataset.index.origins.get("group", "")
    if then in (None, now) or not _is_same_place(run.config.data.path, dataset.path):
        return
    lost = trained - dataset.index.group_hashes()
    if lost == trained or (lost and not (then and now)):
        raise UsageError(
            f"The groups are not those of pre-training ({then or 'none'} then, {now or 'none'} "
            "now), so that an overlap cannot be excluded. Give the same --labels or --layout, or "
            "say --allow-overlap."
        )


def _is_same_place(before: str, now: Path) -> bool:
    """Tells whether one of two existing paths is the other or inside it."""
    if not before or now == Path() or not Path(before).exists():
        return False
    paths = Path(before).resolve(), now.resolve()
    return paths[0].is_relative_to(paths[1]) or paths[1].is_relative_to(paths[0])
