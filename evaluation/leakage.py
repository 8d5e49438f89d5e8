"""Refuses evaluations on groups that a run was pre-trained on."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.errors import UsageError
from ..training.run import Run
from .data import EvaluationData
from .evaluation import Evaluation


def groups_of(*runs: Run | None) -> frozenset[str]:
    """Returns hashes of the groups that any of some runs was pre-trained on."""
    return frozenset(g for run in runs if run for g in run.read_json("manifest.json")["groups"])


def refuse_overlap(
    run: Run, data: EvaluationData, allow: bool, evaluations: Iterable[Evaluation] = ()
) -> int:
    """Counts the test groups that the run was pre-trained on: those that evaluations report on.

    Args:
        run: Its manifest has hashes of the groups.
        data: Its test part counts always.
        allow: Do not refuse.
        evaluations: Which evaluations will be run.

    Raises:
        UsageError: If there are any and that was not allowed.
    """
    trained = groups_of(run)
    index = data.dataset.index
    shared = trained & index.group_hashes(data.splits.test)
    if shared and not allow:
        raise UsageError(
            f"{len(shared)} groups of the test part were pre-trained on, so its result would "
            "flatter the run. Pre-train with the same --data (its test part is then left out), or "
            "say --allow-overlap."
        )
    reported = shared.union(*(trained & index.group_hashes(p.tested(data)) for p in evaluations))
    if len(reported) > len(shared) and not allow:
        raise UsageError(
            f"{len(reported)} groups that an evaluation reports on were pre-trained on, without "
            "their labels, so its result would flatter the run. Pre-train on other groups, set the "
            "evaluation to report on the test part alone where it can, or say --allow-overlap."
        )
    return len(reported)
