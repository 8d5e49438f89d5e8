"""Summarizes a comparison: means over seeds, paired differences and verdicts."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...training.intervals import Estimate
from ...training.manifest import environment
from ...training.seed_variance import SeedVariance
from ..differences import average_results, paired_difference, paired_p_value, verdict
from ..result import Result
from .seeds import PooledSeeds, varies
from .tested_images import tested_images

if TYPE_CHECKING:
    from .arms import Arm
    from .models import Models
    from .plan import Plan

Results = Mapping[tuple[str, str, int], Result]
"""By arm, budget and seed."""


def summary(asked: Plan, results: Results, models: Models, command: str) -> dict[str, Any]:
    """Returns the content of `compare.json`; docs/compare.md describes it."""
    facts = environment()
    compared = [arm for arm in asked.arms if arm.name not in models.unavailable]
    repeats = {
        (arm.name, budget): _repeats(results, arm.name, budget)
        for budget in asked.budgets
        for arm in compared
    }
    means = {key: average_results(seeds) for key, seeds in repeats.items()}
    first = next(iter(means.values()), Result({}))
    seeds = {
        budget: PooledSeeds([means[arm.name, budget] for arm in compared])
        for budget in asked.budgets
    }
    return {
        "format": 3,
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        **{key: facts[key] for key in ("versions", "hardware")},
        "settings": asked.settings,
        "data": _data(asked, means.values()),
        "encoder": asked.architecture,
        "image_size": asked.image_size,
        "evaluation": asked.evaluation,
        "budget_unit": asked.asked.budget_unit,
        "main": first.main,
        "unit": first.unit,
        "seeds": asked.seeds,
        "budgets": [_budget(results, budget) for budget in asked.budgets],
        "arms": [_arm(arm, asked.evaluation, models) for arm in asked.arms],
        "results": [_row(*key, mean, repeats[key], seeds[key[1]]) for key, mean in means.items()],
        "differences": [
            _difference(a.name, b.name, budget, means, seeds[budget])
            for budget in asked.budgets
            for a, b in itertools.combinations(compared, 2)
        ],
        "leak": _leak(asked.arms),
    }


def _leak(arms: Sequence[Arm]) -> dict[str, Any]:
    """Says which arms have seen test groups, and which the earlier time of them alone."""
    return {
        "shared": {arm.name: arm.shared for arm in arms if arm.shared},
        "earlier": [arm.name for arm in arms if arm.is_earlier],
    }


def _arm(arm: Arm, evaluation: str, models: Models) -> dict[str, Any]:
    loaded, unavailable = models.loaded.get(arm.name, ""), models.unavailable.get(arm.name, "")
    return arm.to_json(evaluation, loaded, unavailable)


def _data(asked: Plan, means: Iterable[Result]) -> dict[str, Any]:
    data, index = asked.data, asked.data.dataset.index
    parts, tested = asked.asked.labeled(data), tested_images(asked.asked, data)
    return {
        "path": asked.config.path,
        "domain": data.domain.name,
        "fingerprint": data.dataset.fingerprint(),
        "channels": list(data.dataset.channels),
        "classes": list(asked.grades or asked.asked.classes(data)),
        "grades": list(asked.grades),
        "positive": next((mean.positive for mean in means if mean.positive), ""),
        "train": len(parts.train),
        "val": len(parts.val),
        "test": len(tested),
        "test_groups": len(np.unique(index.groups[tested])),
    }


def _repeats(results: Results, arm: str, budget: str) -> list[Result]:
    """Returns the results of all seeds; a single one where no seed has any influence."""
    keys = sorted(key for key in results if key[:2] == (arm, budget))
    return [results[key] for key in keys]


def _budget(results: Results, budget: str) -> dict[str, Any]:
    """Returns a budget and the number of labels that it bought at each seed."""
    labels = {seed: r.details["labels"] for (_, b, seed), r in results.items() if b == budget}
    return {"name": budget, "labels": [labels[seed] for seed in sorted(labels)]}


def _row(
    arm: str, budget: str, mean: Result, repeats: Sequence[Result], seeds: PooledSeeds
) -> dict[str, Any]:
    """Returns the mean over the seeds of an arm at a budget."""
    metrics = {name: _estimate(e) for name, e in mean.metrics.items()}
    for name, kept in mean.jackknife.items():
        metrics[name] = _estimate(kept.estimate(seeds.of_arm(name) if varies(mean, name) else None))
    matrices = [np.array(r.details["confusion"]) for r in repeats if "confusion" in r.details]
    return {
        "arm": arm,
        "budget": budget,
        "repeats": len(repeats),
        "seeds_counted": _counted(seeds.of_arm(mean.main)) if varies(mean, mean.main) else None,
        "metrics": metrics,
        "classes": [{k: _number(v) for k, v in row.items()} for row in mean.rows],
        "confusion": np.sum(matrices, axis=0).tolist() if matrices else None,
        "by_seed": {
            name: [_number(result.metrics[name].value) for result in repeats]
            for name in mean.metrics
        },
        "constant": [result.constant for result in repeats],
        "epochs": [result.details.get("epochs") for result in repeats],
        "of_epochs": [result.details.get("of_epochs") for result in repeats],
        "improving": [result.details.get("improving") for result in repeats],
        "seconds": round(sum(result.details["seconds"] for result in repeats), 1),
    }


def _difference(
    arm: str,
    against: str,
    budget: str,
    means: Mapping[tuple[str, str], Result],
    seeds: PooledSeeds,
) -> dict[str, Any]:
    """Returns by how much an arm exceeds another, paired over groups and seeds."""
    ours, theirs = means[arm, budget], means[against, budget]
    both = [name for name in ours.metrics if name in theirs.metrics]
    of_seeds = {name: seeds.of_difference(ours, theirs, name) for name in both}
    gains = {name: paired_difference(ours, theirs, name, of_seeds[name]) for name in both}
    main = ours.main
    return {
        "arm": arm,
        "against": against,
        "budget": budget,
        "metrics": {name: _estimate(gain) for name, gain in gains.items()},
        "verdict": verdict(gains.get(main), ours.groups),
        "groups": ours.groups,
        "p_value": paired_p_value(ours, theirs, main, of_seeds.get(main)),
        "seeds_counted": _counted(of_seeds.get(main)),
    }


def _counted(seeds: SeedVariance | None) -> bool | None:
    """Tells whether an interval covers the choice of seeds; None if no seed has an influence."""
    return seeds.counts if seeds else None


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: _number(value) for name, value in asdict(estimate).items()}


def _number(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
