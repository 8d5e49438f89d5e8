"""How often do 95 % intervals of a paired difference and of an accuracy contain the truth?

    python benchmarks/coverage.py

Two models classify the images of G groups. Their probit scores share the difficulty of a group and
of an image; the gain of the first model differs between groups. The truth is the value over 100,000
groups. Prints coverages in percent, "difference / accuracy", of the kit's intervals and of others.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ssl_kit.evaluation import Estimate, Jackknife

Floats = NDArray[np.float64]
Ends = tuple[float, float]
DRAWS = 500
CASES: dict[str, dict[str, float]] = {
    "equal sizes": {},
    "no effect": {"gain": 0.0},
    "large effect": {"skill": 0.0, "gain": 1.5},
    "groups differ": {"skill": 1.2, "gain": 0.2, "between": 0.8},
    "near 1": {"skill": 1.7, "between": 0.4, "own": 0.2},
    "unequal sizes": {"sizes": 0.7},
    "sizes tied to difficulty": {"sizes": 0.7, "tie": -0.3, "tied_gain": 0.15},
    "very unequal, tied": {"sizes": 1.0, "tie": -0.3, "tied_gain": 0.15},
}


def draw(
    rng: np.random.Generator,
    groups: int,
    skill: float = 0.5,
    gain: float = 0.3,
    between: float = 0.5,
    own: float = 0.3,
    sizes: float = 0.0,
    tie: float = 0.0,
    tied_gain: float = 0.0,
) -> tuple[Floats, Floats]:
    """Returns the number of images of each group (G,), and of right answers (2, G).

    Args:
        rng: Random numbers.
        groups: Number of groups, G.
        skill: Mean probit score of the second model.
        gain: Mean by which the first model exceeds it.
        between: Deviation between groups of the difficulty.
        own: Deviation between groups of the gain.
        sizes: Deviation of the logarithm of the number of images, whose median is 20.
        tie: Slope of the score over this logarithm.
        tied_gain: Slope of the gain over this logarithm.
    """
    log_size = sizes * rng.normal(size=groups)
    n = np.maximum(2, np.round(20 * np.exp(log_size))).astype(int)
    level = skill + between * rng.normal(size=groups) + tie * log_size
    gains = gain + own * rng.normal(size=groups) + tied_gain * log_size
    codes = np.repeat(np.arange(groups), n)
    latent = 0.8 * rng.normal(size=len(codes)) + 0.6 * rng.normal(size=(2, len(codes)))
    right = latent < np.stack([level + gains, level])[:, codes]
    hits = [np.bincount(codes, weights=each, minlength=groups) for each in right]
    return n.astype(np.float64), np.stack(hits)


def ends_of(sums: Floats, n: Floats, limits: Ends, counts: Floats) -> dict[str, Ends]:
    """Returns the intervals of sums (G,) over numbers of images (G,), by their name.

    Args:
        sums: Right answers, or the difference of two models.
        n: Number of images.
        limits: Of the metric.
        counts: (R, G) how often each group is drawn.
    """
    g, value = len(n), sums.sum() / n.sum()
    drawn = counts @ sums / (counts @ n)
    tail = float(stats.norm.cdf(stats.t.ppf(0.025, g - 1) * (g / (g - 1)) ** 0.5))
    without = (sums.sum() - sums) / (n.sum() - n)
    half = float(stats.t.ppf(0.975, g - 1)) * ((g - 1) / g * ((without - value) ** 2).sum()) ** 0.5
    spread = counts @ sums**2 - 2 * drawn * (counts @ (sums * n)) + drawn**2 * (counts @ n**2)
    error = np.sqrt(np.maximum(spread, 1e-12)) / (counts @ n)
    low, high = np.percentile((drawn - value) / error, [2.5, 97.5])
    scale = ((sums - value * n) ** 2).sum() ** 0.5 / n.sum()
    ours: Estimate = Jackknife(np.concatenate([[value], without])[None], n, limits).estimate()
    return {
        "percentile bootstrap": tuple(np.percentile(drawn, [2.5, 97.5])),
        "expanded percentiles": tuple(np.percentile(drawn, [100 * tail, 100 - 100 * tail])),
        "bootstrap-t": (value - high * scale, value - low * scale),
        "Student, G - 1": (value - half, value + half),
        "ours": (ours.low, ours.high),
    }


def coverage(case: dict[str, float], groups: int, times: int) -> dict[str, str]:
    """Returns the coverage of each kind of interval, as "difference / accuracy"."""
    options: dict[str, Any] = dict(case)
    n, (first, second) = draw(np.random.default_rng(1), 100_000, **options)
    truth = np.array([(first - second).sum(), first.sum()]) / n.sum()
    rng, covered = np.random.default_rng(0), dict[str, NDArray[np.int64]]()
    for _ in range(times):
        n, (first, second) = draw(rng, groups, **options)
        counts = rng.multinomial(groups, np.full(groups, 1 / groups), DRAWS).astype(np.float64)
        metrics = [(first - second, (-1.0, 1.0)), (first, (0.0, 1.0))]
        for i, (sums, limits) in enumerate(metrics):
            for name, (low, high) in ends_of(sums, n, limits, counts).items():
                hits = covered.setdefault(name, np.zeros(2, dtype=np.int64))
                hits[i] += low <= truth[i] <= high
    return {
        name: " / ".join(f"{100 * hit / times:.1f}" for hit in hits)
        for name, hits in covered.items()
    }


def main() -> None:
    """Prints a table for each number of groups."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--groups", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument("--times", type=int, default=2000)
    asked = parser.parse_args()
    for groups in asked.groups:
        for n, (name, case) in enumerate(CASES.items()):
            found = coverage(case, groups, asked.times)
            if not n:
                print(f"\n| {groups} groups | {' | '.join(found)} |\n" + "|---" * 6 + "|")
            print(f"| {name} | {' | '.join(found.values())} |", flush=True)


if __name__ == "__main__":
    main()
