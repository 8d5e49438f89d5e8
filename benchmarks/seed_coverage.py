"""How often do 95 % intervals contain the truth if a comparison has few seeds?

    python benchmarks/seed_coverage.py

Some arms classify 20 images of each of G groups with each of S seeds. Probit scores of an arm have
the difficulty of the group and of the image, the arm's skill in the group, the seed (a part of it
that all arms share, since they have the same labels, and a part of their own), and the interaction
of seed and group. The truth is that of 200,000 groups with a seed each. Prints the coverage in
percent and the median width in points of the interval of the difference of the first two arms, and
of the accuracy of the first: over groups only, with the variance of its own seeds, and with that of
all arms (ours).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ssl_kit.evaluation import Jackknife, PooledSeeds, Result, SeedVariance

Floats = NDArray[np.float64]
IMAGES = 20
CASES: dict[str, dict[str, float]] = {
    "seeds do not matter": {"shared": 0.0, "own": 0.0},
    "small": {"shared": 0.15, "own": 0.15},
    "large": {"shared": 0.3, "own": 0.3},
    "first arm 3 times the others": {"shared": 0.15, "own": 0.15, "first": 3.0},
}
KINDS = ("groups only", "own seeds", "ours")


class Counted(SeedVariance):
    """A variance that counts however few seeds it is from."""

    @property
    def counts(self) -> bool:
        """Whether intervals cover it."""
        return True


NO_SEEDS = SeedVariance(0.0, 0.0, 1.0)


def scores(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    shared: float,
    own: float,
    first: float = 1.0,
    apart: bool = False,
) -> Floats:
    """Returns probit scores (A, S, G) of arms, seeds and groups.

    Args:
        rng: Random numbers.
        shape: Numbers of arms, seeds and groups.
        shared: Deviation between seeds that all arms share.
        own: Deviation between seeds of an arm.
        first: Times which the first arm's is larger.
        apart: Whether each group has seeds of its own.
    """
    arms, seeds, groups = shape
    each = groups if apart else 1
    skill = 0.8 + 0.5 * rng.normal(size=groups) + 0.25 * rng.normal(size=(arms, 1, groups))
    skill[0] += 0.3
    of_seed = own * rng.normal(size=(arms, seeds, each))
    of_seed[0] *= first
    of_all = shared * rng.normal(size=(1, seeds, each))
    drawn: Floats = skill + of_seed + of_all + 0.2 * rng.normal(size=shape)
    return drawn


def accuracies(rng: np.random.Generator, latent: Floats) -> list[Jackknife]:
    """Draws the answers of each arm, and returns their accuracy."""
    image = 0.8 * rng.normal(size=(*latent.shape[2:], IMAGES))
    noise = 0.6 * rng.normal(size=(*latent.shape, IMAGES))
    hits = (image + noise < latent[..., None]).mean(axis=-1)
    groups = latent.shape[-1]
    whole = hits.mean(axis=-1, keepdims=True)
    without = (groups * whole - hits) / (groups - 1)
    values = np.concatenate([whole, without], axis=-1)
    return [Jackknife(arm, np.full(groups, float(IMAGES))) for arm in values]


def coverage(case: dict[str, float], shape: tuple[int, int, int], times: int) -> dict[str, Floats]:
    """Returns coverage and median width of the difference and of the accuracy, (2, 2) by kind."""
    options: dict[str, Any] = dict(case)
    truths = scores(np.random.default_rng(1), (shape[0], 1, 200_000), **options, apart=True)
    accuracy = stats.norm.cdf(truths).mean(axis=(1, 2))
    truth = (accuracy[0] - accuracy[1], accuracy[0])
    rng, covered = np.random.default_rng(0), {kind: np.zeros((2, times)) for kind in KINDS}
    widths = {kind: np.zeros((2, times)) for kind in KINDS}
    for t in range(times):
        arms = accuracies(rng, scores(rng, shape, **options))
        results = [Result({}, {"accuracy": arm}) for arm in arms]
        seeds = PooledSeeds(results)
        pool = seeds.of_difference(*results[:2], "accuracy"), seeds.of_arm("accuracy")
        for i, each in enumerate((arms[0] - arms[1], arms[0])):
            own = each.seeds
            assert own is not None
            given = NO_SEEDS, Counted(own.total, own.excess, own.freedom), pool[i]
            for kind, variance in zip(KINDS, given, strict=True):
                estimate = each.estimate(variance)
                covered[kind][i, t] = estimate.low <= truth[i] <= estimate.high
                widths[kind][i, t] = estimate.high - estimate.low
    return {k: np.stack([covered[k].mean(axis=1), np.median(widths[k], axis=1)]) for k in KINDS}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--arms", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--times", type=int, default=1000)
    asked = parser.parse_args()
    print(f"| seeds | arms | variance of seeds | {' | '.join(KINDS)} |\n" + "|---" * 6 + "|")
    for seeds in asked.seeds:
        for arms in asked.arms:
            for name, case in CASES.items():
                found = coverage(case, (arms, seeds, asked.groups), asked.times)
                cells = [
                    " / ".join(f"{100 * c:.0f} ({100 * w:.0f})" for c, w in values.T)
                    for values in found.values()
                ]
                print(f"| {seeds} | {arms} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
