"""How a search should spend ten trainings: a simulation of many candidates against many repeats.

    python benchmarks/search_plan.py

Candidates differ from the default by normal draws. What is measured of a difference has an error
that stays, of the validation images, and one that changes with each training, of the seed. The best
candidates of the first stage and the default are trained again with new seeds, and the best of
these wins if its gain exceeds the error that stays. Each row has the true gain of the winner over
the default in points, and in how many searches it is better and worse.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

TRUTHS = ((-1.0, 3.0), (-2.0, 3.0), (-3.0, 4.0), (-5.0, 5.0))
ERRORS = ((2.0, 1.5), (2.0, 2.5), (1.0, 1.5))


@dataclass(frozen=True)
class Plan:
    """How trainings are spent.

    Attributes:
        candidates: Number in the first stage, the default included.
        finalists: Number that is repeated beside the default.
        seeds: How often.
    """

    candidates: int
    finalists: int
    seeds: int


PLANS = (Plan(4, 2, 2), Plan(6, 1, 2), Plan(8, 1, 1))


def winner(rng: np.random.Generator, plan: Plan, truth: tuple[float, float], lasting: float,
           passing: float) -> float:  # fmt: skip
    """Returns the true gain of the winner of one search."""
    true = np.r_[0.0, rng.normal(*truth, plan.candidates - 1)]
    seen = true + np.r_[0.0, rng.normal(0, lasting, plan.candidates - 1)]
    first = seen + rng.normal(0, passing, plan.candidates)
    finalists = np.r_[0, 1 + np.argsort(-first[1:])[: plan.finalists]]
    noise = rng.normal(0, passing, (plan.seeds, len(finalists))).mean(axis=0)
    final = seen[finalists] + noise
    best = int(np.argmax(final))
    return float(true[finalists[best]]) if final[best] - final[0] > lasting else 0.0


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=20_000)
    args = parser.parse_args()
    print("| candidates: mean, sd | error: images, seed | plan | gain | better | worse |")
    print("|---|---|---|---|---|---|")
    for truth in TRUTHS:
        for errors in ERRORS:
            for plan in PLANS:
                rng = np.random.default_rng(0)
                gains = np.array([winner(rng, plan, truth, *errors) for _ in range(args.searches)])
                name = f"{plan.candidates}, then {plan.finalists + 1} x {plan.seeds}"
                print(
                    f"| {truth[0]:g}, {truth[1]:g} | {errors[0]:g}, {errors[1]:g} | {name} "
                    f"| {gains.mean():+.2f} | {100 * (gains > 0).mean():.0f} % "
                    f"| {100 * (gains < 0).mean():.0f} % |"
                )


if __name__ == "__main__":
    main()
