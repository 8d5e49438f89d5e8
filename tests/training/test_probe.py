"""The fast probe against a slow restatement."""

from __future__ import annotations

import numpy as np

from ssl_kit.training.probe import probe_predict


def test_probe_agrees_with_ridge_regression_solved_directly() -> None:
    random = np.random.default_rng(0)
    labels = np.array([0] * 40 + [1] * 20 + [2] * 20)
    centers = random.normal(size=(3, 6))
    known = (centers[labels] + random.normal(size=(80, 6))).astype(np.float32)
    queries = (centers[labels] + random.normal(size=(80, 6))).astype(np.float32)

    weights = (80 / 3 / np.bincount(labels))[labels]
    mean, std = known.mean(0), known.std(0)
    x, y = (known - mean) / std, np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    best = min(10.0 ** np.arange(-1, 6), key=lambda p: _leave_one_out(x, y, weights, p))
    slope, offset = _ridge(x, y, weights, best)
    expected = ((queries - mean) / std @ slope + offset).argmax(1)

    assert (probe_predict(known, labels, queries) == expected).mean() > 0.97


def _ridge(x: np.ndarray, y: np.ndarray, w: np.ndarray, penalty: float) -> tuple:
    x_mean, y_mean = np.average(x, 0, w), np.average(y, 0, w)
    a, b = x - x_mean, y - y_mean
    slope = np.linalg.solve(
        a.T @ (w[:, None] * a) + penalty * np.eye(a.shape[1]), a.T @ (w[:, None] * b)
    )
    return slope, y_mean - x_mean @ slope


def _leave_one_out(x: np.ndarray, y: np.ndarray, w: np.ndarray, penalty: float) -> float:
    total = 0.0
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        slope, offset = _ridge(x[rest], y[rest], w[rest], penalty)
        total += w[i] * np.square(x[i] @ slope + offset - y[i]).sum()
    return total
