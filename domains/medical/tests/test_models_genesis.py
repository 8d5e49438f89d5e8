"""The distortions agree with the authors' code, restated: https://github.com/MrGiovanni/ModelsGenesis
(`pytorch/utils.py`)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, TrainingInfo
from ssl_kit.nn.weights import create_encoder
from ssl_kit_medical.models_genesis import ModelsGenesis, ModelsGenesisConfig, restoration_loss
from ssl_kit_medical.spoiling import bend, random_blocks, shuffle_within, windows


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def slow_bend(values, points, falls, knots=257):
    """The authors' `nonlinear_transformation`: Bernstein polynomials, sorting, np.interp."""
    control = [(0.0, 0.0), *points, (1.0, 1.0)]
    across, up = [], []
    for step in range(knots):
        t = step / (knots - 1)
        # t**(n-i) (1-t)**i runs from the last control point to the first
        weights = [math.comb(3, i) * t ** (3 - i) * (1 - t) ** i for i in range(4)]
        across.append(sum(w * p[0] for w, p in zip(weights, control, strict=True)))
        up.append(sum(w * p[1] for w, p in zip(weights, control, strict=True)))
    up = up if falls else sorted(up)
    return np.interp(values, sorted(across), up)


@pytest.mark.parametrize("falls", [False, True])
def test_values_are_bent_as_by_the_authors(falls) -> None:
    x = torch.rand(3, 2, 5, 5, dtype=torch.float64)
    points = torch.rand(3, 2, 2, dtype=torch.float64)
    bent = bend(x, points, torch.full((3,), falls))
    for row in range(3):
        expected = slow_bend(x[row].numpy(), points[row].tolist(), falls)
        assert np.abs(bent[row].numpy() - expected).max() < 1e-9


def test_a_straight_curve_changes_nothing_and_ends_stay() -> None:
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    straight = torch.tensor([[[1 / 3, 1 / 3], [2 / 3, 2 / 3]]], dtype=torch.float64)
    torch.testing.assert_close(bend(x, straight, torch.tensor([False])), x)
    torch.testing.assert_close(bend(x, straight, torch.tensor([True])), 1 - x)
    ends = torch.tensor([[[[0.0, 1.0]]]])
    assert bend(ends, torch.rand(1, 2, 2), torch.tensor([False])).flatten().tolist() == [0, 1]


def test_a_bent_order_is_kept() -> None:
    x = torch.linspace(0, 1, 50).view(1, 1, 5, 10).repeat(20, 1, 1, 1)
    bent = bend(x, torch.rand(20, 2, 2), torch.zeros(20, dtype=torch.bool)).flatten(1)
    assert (bent.diff(dim=1) >= -1e-6).all()


def test_pixels_stay_in_their_block_with_all_channels() -> None:
    x = torch.arange(2 * 20 * 20.0).view(2, 1, 20, 20).repeat(1, 3, 1, 1)
    blocks = random_blocks(x)
    mixed = shuffle_within(x, blocks, torch.rand(2, 20, 20))
    assert torch.equal(mixed[:, 0], mixed[:, 2])
    assert not torch.equal(mixed, x)
    for row in range(2):
        for number in blocks[row].unique():
            inside = blocks[row] == number
            before, after = x[row, 0][inside], mixed[row, 0][inside]
            assert torch.equal(before.sort().values, after.sort().values)


def test_keys_decide_the_shuffle() -> None:
    x = torch.tensor([[[[10.0, 20.0, 30.0, 40.0]]]])
    blocks = torch.tensor([[[0, 0, 1, 1]]])
    keys = torch.tensor([[[0.9, 0.1, 0.2, 0.3]]])
    assert shuffle_within(x, blocks, keys).flatten().tolist() == [20, 10, 30, 40]


@pytest.mark.parametrize("size", [(64, 64), (37, 37), (1, 50), (10, 8)])
def test_blocks_are_small_rectangles(size) -> None:
    blocks = random_blocks(torch.zeros(8, 1, *size))
    assert blocks.shape == (8, *size)
    for row in blocks:
        for number in row.unique():
            where = (row == number).nonzero()
            height, width = (where.amax(0) - where.amin(0) + 1).tolist()
            assert height * width == len(where)
            assert max(height, width) <= max(2, max(size) // 10)


@pytest.mark.parametrize(("low", "high"), [(1 / 6, 1 / 3), (3 / 7, 4 / 7)])
def test_windows_are_as_large_as_told(low, high) -> None:
    seen = windows(torch.zeros(200, 1, 42, 42), low, high)[:, 0].float().mean((1, 2))
    assert seen.min() >= low**2 * 0.9
    assert seen.max() < 1
    once = 1 - (1 - ((low + high) / 2) ** 2) ** 4.5  # of about 4.5 windows that fall anywhere
    assert abs(seen.mean() - once) < 0.2


def objective(**options) -> ModelsGenesis:
    made = ModelsGenesis(create_encoder("test_resnet", 3, 32), ModelsGenesisConfig(**options))
    made.prepare(TrainingInfo(8, 1, (0.4, 0.5, 0.6), (0.2, 0.2, 0.2)))
    return made


def test_without_any_chance_nothing_is_spoilt() -> None:
    x = torch.rand(4, 3, 32, 32)
    assert torch.equal(objective(bend=0, shuffle=0, paint=0).spoil(x), x)


@pytest.mark.parametrize(("inpaint", "low", "high"), [(1, 0.02, 0.45), (0, 0.2, 0.85)])
def test_inside_or_outside_is_hidden_by_noise(inpaint, low, high) -> None:
    x = torch.full((100, 3, 32, 32), 2.0)
    hidden = objective(bend=0, shuffle=0, paint=1, inpaint=inpaint).spoil(x) < 1
    assert low < hidden.float().mean() < high


def test_spoilt_values_stay_in_the_range() -> None:
    spoilt = objective().spoil(torch.rand(64, 3, 32, 32))
    assert spoilt.min() >= 0
    assert spoilt.max() <= 1


def test_hidden_pixels_are_not_seen() -> None:
    made = objective(bend=0, shuffle=0, paint=1, inpaint=1)
    x = torch.rand(4, 3, 32, 32)
    torch.manual_seed(1)
    hidden = made.spoil(torch.full_like(x, 2.0)) < 1
    other = torch.where(hidden, torch.rand_like(x), x)
    outcomes = []
    for image in (x, other):
        torch.manual_seed(1)
        outcomes.append(made.spoil(image))
    assert torch.equal(*outcomes)


def test_the_loss_is_the_mean_squared_error() -> None:
    a, b = torch.randn(2, 2, 3, 4, 5, dtype=torch.float64).unbind()
    pairs = zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)
    expected = sum((p - q) ** 2 for p, q in pairs) / a.numel()
    assert restoration_loss(a, b).item() == pytest.approx(expected, abs=1e-9)
    assert restoration_loss(a, a).item() == 0
    assert restoration_loss(a, a + 2).item() == pytest.approx(4, abs=1e-9)
    order = torch.tensor([1, 0])
    torch.testing.assert_close(restoration_loss(a[order], b[order]), restoration_loss(a, b))


def test_gradient_is_that_of_the_loss() -> None:
    a, b = torch.randn(2, 2, 1, 3, 3, dtype=torch.float64).unbind()
    assert gradcheck(restoration_loss, (a.requires_grad_(), b))


def test_skill_of_a_perfect_decoder_is_one() -> None:
    made = objective()
    x = torch.randn(4, 3, 32, 32)
    made.decoder.forward = lambda _: x
    none = torch.zeros(4, dtype=torch.long)
    output = made(Batch((x,), none, none, torch.zeros(4, 0), ()))
    assert output.loss.item() == 0
    assert output.metrics["restoration_skill"].item() == 1


def test_works_on_signals() -> None:
    made = ModelsGenesis(create_encoder("test_resnet", 1, 64), ModelsGenesisConfig())
    none = torch.zeros(2, dtype=torch.long)
    assert made(
        Batch((torch.randn(2, 1, 1, 64),), none, none, torch.zeros(2, 0), ())
    ).loss.isfinite()
