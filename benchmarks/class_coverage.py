"""How often do 95 % intervals contain the truth if a class is in few test groups?

    python benchmarks/class_coverage.py

Each group is a patient of one class with ten images, as a diagnosis is. Two models classify them;
how well differs between patients, from a beta distribution that both models share, so that they are
equally good. Prints in percent the coverage of the interval of the balanced accuracy, and how often
that of the difference of both models excludes zero, with and without the bound on the degrees of
freedom that the groups of the rarer class set (`class_freedom`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from ssl_kit.evaluation import Jackknife, Result

PATIENTS = ((10, 10), (5, 5), (3, 9), (2, 10), (5, 25), (3, 27), (2, 28))
IMAGES, RECALL, CONCENTRATION = 10, 0.75, 4.0
METRIC = "balanced_accuracy"


def model(rng: np.random.Generator, counts: tuple[int, int]) -> Jackknife:
    """Returns the balanced accuracy of a model on new patients."""
    patients = sum(counts)
    groups = np.repeat(np.arange(patients), IMAGES)
    labels = np.repeat(np.repeat([1, 0], counts), IMAGES)
    shape = RECALL * CONCENTRATION, (1 - RECALL) * CONCENTRATION
    right = rng.random(len(labels)) < rng.beta(*shape, patients)[groups]
    predicted = np.where(right, labels, 1 - labels)
    return Result.of_classification(labels, predicted, groups, ("no", "yes")).jackknife[METRIC]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--times", type=int, default=1000, help="repetitions")
    args = parser.parse_args()
    print("| patients of both classes | coverage | false verdicts | unbounded | false verdicts |")
    print("|---|---|---|---|---|")
    for counts in PATIENTS:
        rng, found = np.random.default_rng(0), []
        for _ in range(args.times):
            bounded = model(rng, counts), model(rng, counts)
            free = [replace(each, most_freedom=float("inf")) for each in bounded]
            for first, second in (bounded, free):
                own, gain = first.estimate(), (first - second).estimate()
                found += [own.low <= RECALL <= own.high, not gain.low <= 0 <= gain.high]
        shares = 100 * np.reshape(found, (args.times, 4)).mean(axis=0)
        cells = " | ".join(f"{share:.1f}" for share in shares)
        print(f"| {counts[0]} and {counts[1]} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
