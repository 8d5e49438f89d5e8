"""Differences of results, their means over seeds or draws of labels, and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..training.intervals import FEWEST, Estimate, Jackknife
from ..training.seed_variance import SeedVariance
from .result import Result, estimates


def paired_difference(
    result: Result, reference: Result, metric: str, seeds: SeedVariance | None = None
) -> Estimate:
    """Estimates by how much a metric exceeds that of a reference, paired over groups and seeds.

    Both results must come from the same test groups.

    Args:
        result: With the metric.
        reference: With the metric, too.
        metric: Its name.
        seeds: The variance of seeds, if it is known better than from these two results alone.
    """
    if metric in result.jackknife and metric in reference.jackknife:
        return (result.jackknife[metric] - reference.jackknife[metric]).estimate(seeds)
    value = result.metrics[metric].value - reference.metrics[metric].value
    return Estimate(value, np.nan, np.nan)


def paired_p_value(
    result: Result, reference: Result, metric: str, seeds: SeedVariance | None = None
) -> float | None:
    """Returns the p-value of no difference, below 0.05 if and only if the interval excludes 0.

    Args:
        result: See `paired_difference`.
        reference: See `paired_difference`.
        metric: See `paired_difference`.
        seeds: See `paired_difference`.

    Returns:
        None below six groups and where there is no interval, as there is no verdict then.
    """
    if result.groups < FEWEST or not (metric in result.jackknife and metric in reference.jackknife):
        return None
    p = (result.jackknife[metric] - reference.jackknife[metric]).p_value(seeds)
    return None if np.isnan(p) else p


def average_results(results: Sequence[Result]) -> Result:
    """Averages results of several seeds or draws of labels on the same test groups.

    The intervals cover both the test groups and the seeds, which must be in the same order in two
    results whose difference is wanted. One or two seeds stand for themselves only.

    Returns:
        The mean of the metrics and of the rows of classes. `details["repeats"]` is the list of
        the details of all results.
    """
    first = results[0]
    kept = {name: _stacked([r.jackknife[name] for r in results]) for name in first.jackknife}
    metrics = {
        name: Estimate(float(np.mean([r.metrics[name].value for r in results])), np.nan, np.nan)
        for name in first.metrics
    }
    scores = np.mean([result.by_group for result in results], axis=0)
    rows = [_mean_row(of_class) for of_class in zip(*(r.rows for r in results), strict=True)]
    details = {"repeats": [dict(result.details) for result in results]}
    metrics |= estimates(kept)
    return replace(
        first, metrics=metrics, jackknife=kept, rows=rows, by_group=scores, details=details
    )


def _stacked(seeds: Sequence[Jackknife]) -> Jackknife:
    """Joins seeds; those that are means of several draws of labels themselves count once."""
    if len(seeds) == 1:
        return seeds[0]
    values = np.stack([seed.values.mean(axis=0) for seed in seeds])
    return replace(seeds[0], values=values)


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Averages shares; the name of the class and its number of images are the same in all rows."""
    first = rows[0]
    shares = [key for key, value in first.items() if isinstance(value, float)]
    return {**first, **{key: float(np.mean([row[key] for row in rows])) for key in shares}}


def verdict(gain: Estimate | None, groups: int) -> str:
    """Returns the verdict on a paired difference.

    Args:
        gain: The difference; None if there is none.
        groups: Number of test groups.

    Returns:
        "helps", "hurts" or "no evidence"; "no verdict" below six groups and without an interval.
    """
    if gain is None or groups < FEWEST or np.isnan([gain.low, gain.high]).any():
        return "no verdict"
    if not (gain.low > 0 or gain.high < 0):
        return "no evidence"
    return "helps" if gain.low > 0 else "hurts"
