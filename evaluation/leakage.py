"""Refuses evaluations on groups that a run was pre-trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.dataset import Dataset
from ..core.errors import UsageError
from ..data.counting import agree, plural
from ..data.layouts import NAMES_OF_FOLDERS, split_named
from ..training.manifest import trained_on
from ..training.run import Run
from ..training.seen import Seen, between, seen_in
from .data import EvaluationData, after
from .evaluation import Evaluation


def groups_of(*runs: Run | None, dataset: Dataset | None = None) -> frozenset[str]:
    """Returns hashes of the groups that any of some runs, or its start, was pre-trained on.

    Args:
        runs: The runs; None is left out.
        dataset: Adds the hashes that these groups have in this dataset, whose folder may be above
            or below that of the run; see `seen_in`.
    """
    return frozenset(group for part in _parts(runs, dataset) for group in part.groups)


def _parts(runs: Iterable[Run | None], dataset: Dataset | None) -> list[Seen]:
    place = (dataset.index, dataset.path) if dataset else ()
    manifests = [run.read_json("manifest.json") for run in runs if run]
    return [seen_in(part, *place) for manifest in manifests for part in trained_on(manifest)]


def until_of(*runs: Run | None, dataset: Dataset | None = None) -> dict[str, list[float]]:
    """Returns where what no run was pre-trained on begins, by the group's hash.

    Groups that a run was pre-trained on as a whole are left out.

    Args:
        runs: The runs; None is left out.
        dataset: See `groups_of`.
    """
    parts = _parts(runs, dataset)
    whole = {group for part in parts for group in part.groups if group not in part.until}
    latest: dict[str, list[float]] = {}
    for part in parts:
        for group in part.until.keys() - whole:
            latest[group] = max(latest.get(group, part.until[group]), part.until[group])
    return latest


def seen_by(
    *runs: Run | None, dataset: Dataset | None = None
) -> tuple[frozenset[str], dict[str, list[float]]]:
    """Returns what some runs were pre-trained on: see `groups_of` and `until_of`."""
    return groups_of(*runs, dataset=dataset), until_of(*runs, dataset=dataset)


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
    (trained, until), asked = seen_by(run, dataset=data.dataset), list(evaluations)
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
    manifest, index = run.read_json("manifest.json"), dataset.index
    then, now = manifest.get("groups_from"), index.origins.get("group", "")
    before = run.config.data.path
    folders = between(before, dataset.path) if before and Path(before).exists() else None
    if then is None or folders is None:
        return
    found = seen_in(manifest, index, dataset.path).groups & index.group_hashes()
    lost = len(manifest["groups"]) - len(found)
    if then == now and not found and _may_be_others(then, folders[0]):
        raise UsageError(
            f"Groups are {then}, and '{dataset.path}' is not the folder of pre-training "
            f"('{before}'), so that an overlap cannot be excluded. Give the same --data, or say "
            "--allow-overlap."
        )
    if then != now and (not found or (lost and not (then and now))):
        raise UsageError(
            f"The groups are not those of pre-training ({then or 'none'} then, {now or 'none'} "
            "now), so that an overlap cannot be excluded. Give the same --labels or --layout, or "
            "say --allow-overlap."
        )


def _may_be_others(origin: str, folders: str) -> bool:
    """Tells whether groups have other names if the folders are read from a place above or below.

    Args:
        origin: How the groups were found.
        folders: Those between the two places; folders of parts, such as "test", change no name.
    """
    from_folders = origin == NAMES_OF_FOLDERS or origin.startswith("--layout")
    return from_folders and not all(split_named(name) for name in folders.split("/"))
