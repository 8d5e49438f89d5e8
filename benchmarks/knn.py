"""How long kNN takes beside scikit-learn's brute force, and how much memory.

    python benchmarks/knn.py

Of 50,000 x 512 features 10,000 ask the other 40,000. Prints the median ratio of the CPU times
of one thread, taken in turns, and what each needs above the features, in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from ssl_kit.evaluation import LabeledFeatures, evaluations

K, TEMPERATURE, CLASSES = 20, 0.07, 10


def problem(rows: int, width: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=rows)
    features = rng.standard_normal((rows, width), dtype=np.float32)
    features += rng.standard_normal((CLASSES, width), dtype=np.float32)[labels]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    queries = rows // 5
    return features[queries:], labels[queries:], features[:queries]


def ours(bank: Any, labels: Any, queries: Any) -> None:
    kind, rows = evaluations["knn"], np.arange(len(bank) + len(queries))
    parts = LabeledFeatures(
        np.concatenate([bank, queries]),
        np.concatenate([labels, np.zeros(len(queries), labels.dtype)]),
        rows,
        tuple(map(str, range(CLASSES))),
        rows[: len(bank)],
        rows[:0],
        rows[len(bank) :],
    )
    kind(kind.Config(k=K, temperature=TEMPERATURE)).predict(parts)


def theirs(metric: str) -> Callable[..., None]:
    def run(bank: Any, labels: Any, queries: Any) -> None:
        # of unit vectors, the squared distance is 2 - 2 cosine: the same neighbors
        brute = KNeighborsClassifier(K, metric=metric, algorithm="brute", weights="distance")
        brute.fit(bank, labels).predict(queries)

    return run


ARMS = {"ssl-kit": ours, "cosine": theirs("cosine"), "euclidean": theirs("euclidean")}


def _status(field: str) -> int:
    """Reads a size in kB of this process; Linux only."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{field}:")[1].split()[0])


def memory(name: str, rows: int, width: int, results: Any) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)
    data = problem(rows, width)
    ARMS[name](data[0][:64], data[1][:64], data[2][:64])  # what is loaded at first use
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    before = _status("VmRSS")
    ARMS[name](*data)
    results.put((_status("VmHWM") - before) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    data = problem(given.rows, given.width)
    torch.set_num_threads(1)
    threadpool_limits(1)
    times: dict[str, list[float]] = {name: [] for name in ARMS}
    for _ in range(given.turns):
        for name, run in ARMS.items():
            start = time.process_time()
            run(*data)
            times[name].append(time.process_time() - start)
    context = multiprocessing.get_context("spawn")
    for name, taken in times.items():
        results = context.Queue()
        child = context.Process(target=memory, args=(name, given.rows, given.width, results))
        child.start()
        megabytes = results.get()
        child.join()
        ratio = statistics.median(t / o for t, o in zip(taken, times["ssl-kit"], strict=True))
        print(
            f"{name:<10} {statistics.median(taken):6.1f} s, {ratio:5.2f} x ssl-kit, "
            f"{megabytes:6.0f} MB more memory"
        )


if __name__ == "__main__":
    main()
