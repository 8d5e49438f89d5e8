from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit_eeg.alterations import NAMES, noisy, permuted, versions, warped
from ssl_kit_eeg.transform_recognition import (
    TransformRecognition,
    TransformRecognitionConfig,
    accuracy,
    recognition_loss,
)

WEIGHTS = torch.tensor([0.195, 0.195, 0.195, 0.0125, 0.0125, 0.195, 0.195], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def slow_loss(logits, weights):
    """Eq. 2 with loops: seven binary problems, each over all versions of all signals."""
    total = 0.0
    for j, weight in enumerate(weights):
        each = []
        for row in logits:
            for version in range(7):
                p = 1 / (1 + math.exp(-row[version][j]))
                each.append(-math.log(p if version == j else 1 - p))
        total += weight * sum(each) / len(each)
    return total


def test_loss_agrees_with_equation_2() -> None:
    logits = torch.randn(3, 7, 7, dtype=torch.float64)
    expected = slow_loss(logits.tolist(), WEIGHTS.tolist())
    assert recognition_loss(logits, WEIGHTS).item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_guessing_and_of_knowing() -> None:
    guess = recognition_loss(torch.zeros(2, 7, 7), WEIGHTS).item()
    assert guess == pytest.approx(math.log(2), abs=1e-6)
    known = (200 * torch.eye(7) - 100).expand(2, 7, 7)
    assert recognition_loss(known, WEIGHTS).item() == pytest.approx(0, abs=1e-6)
    assert accuracy(known).item() == 1


def test_gradient_is_that_of_the_loss() -> None:
    logits = torch.randn(2, 7, 7, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda z: recognition_loss(z, WEIGHTS), (logits,))


def test_noise_is_15_decibels_below_the_signal() -> None:
    x = 3 * torch.randn(2, 3, 1, 20000)
    noise = noisy(x, torch.rand_like(x)) - x
    ratio = 10 * (x.square().mean((2, 3)) / noise.square().mean((2, 3))).log10()
    torch.testing.assert_close(ratio, torch.full_like(ratio, 15.0), atol=0.2, rtol=0)


@pytest.mark.parametrize("length", [40, 47])
def test_permutation_moves_whole_pieces(length: int) -> None:
    x = torch.arange(2.0 * length).view(2, 1, 1, length)
    draws = torch.rand(2, 20)
    out = permuted(x, draws)
    for row in range(2):
        pieces = [[] for _ in range(20)]
        for t in range(length):
            pieces[t * 20 // length].append(float(x[row, 0, 0, t]))
        rank = draws[row].argsort().tolist()
        order = sorted(range(20), key=lambda piece: rank[piece])
        assert out[row, 0, 0].tolist() == [value for piece in order for value in pieces[piece]]
    assert not torch.equal(out, x)


def slow_warp(x, wide):
    """Each piece is resampled on its own, then all are joined, cut off or filled with zeros."""
    length, pieces = len(x), len(wide)
    out, end, k = [], 0.0, 0
    ends = np.cumsum([length / pieces * (1.05 if w else 1 / 1.05) for w in wide])
    for t in range(length):
        while k < pieces - 1 and t >= ends[k]:
            end, k = ends[k], k + 1
        size = ends[k] - (ends[k - 1] if k else 0)
        at = k * length / pieces + (t - end) * (length / pieces) / size
        out.append(np.interp(at, np.arange(length), x) if at <= length - 1 else 0.0)
    return out


def test_warping_agrees_with_piece_by_piece() -> None:
    x, draws = torch.randn(2, 1, 1, 90, dtype=torch.float64), torch.rand(2, 9).double()
    out = warped(x, draws)
    for row in range(2):
        wide = np.argsort(np.argsort(draws[row].numpy())) < 5
        np.testing.assert_allclose(out[row, 0, 0], slow_warp(x[row, 0, 0].numpy(), wide), atol=1e-9)


def test_there_are_seven_versions_in_order() -> None:
    x = torch.randn(2, 3, 1, 60)
    made = versions(x, torch.rand_like(x), torch.rand(2, 20), torch.rand(2, 9))
    assert made.shape == (2, len(NAMES), 3, 1, 60)
    torch.testing.assert_close(made[:, 0], x)
    torch.testing.assert_close(made[:, 2], 1.1 * x)
    torch.testing.assert_close(made[:, 3], -x)
    torch.testing.assert_close(made[:, 4], x.flip(3))


def objective(**options) -> TransformRecognition:
    encoder = create_encoder("resnet1d/tiny", 2, 64)
    return TransformRecognition(encoder, TransformRecognitionConfig(**options))


def batch(rows: int = 4) -> Batch:
    rows_ = torch.arange(rows)
    return Batch((torch.randn(rows, 2, 1, 64),), rows_, rows_, torch.zeros(rows, 0), ("",) * rows)


def test_takes_signals_and_drops_units_in_training_only() -> None:
    made = objective()
    assert made(batch()).loss.isfinite()
    kept = made._dropout(200, torch.zeros(1))
    assert kept.shape == (1400, 7, 2, 128)
    assert kept.mean().item() == pytest.approx(1, abs=0.01)
    assert (kept == 0).float().mean().item() == pytest.approx(0.6, abs=0.01)
    assert bool((made.eval()._dropout(2, torch.zeros(1)) == 1).all())
