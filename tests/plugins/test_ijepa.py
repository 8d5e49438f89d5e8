"""Blocks and loss are those of the authors' code, but that contexts lose cells at random where
it takes the last ones: https://github.com/facebookresearch/ijepa (`src/masks/multiblock.py`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn import random_blocks
from ssl_kit.nn.block_masking import CONTEXT, TARGET, block_size, context_without, place_blocks
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.ijepa import (
    IJEPA,
    IJEPAConfig,
    prediction_loss,
)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return (2 * torch.randn(2, 3, 4, 5, dtype=torch.float64)).unbind()


def make(size=64):
    torch.manual_seed(0)
    return IJEPA(
        create_encoder("test_vit", 3, size), IJEPAConfig(predictor_dim=32, predictor_depth=1)
    )


def make_batch(size=64):
    torch.manual_seed(1)
    none = torch.zeros(4, dtype=torch.long)
    return Batch((torch.randn(4, 3, size, size),), none, none, none[:, None], ())


def slow_loss(predicted, target):
    """Smooth L1 to targets of mean 0 and variance 1, with loops."""
    total, (n, m, d) = 0.0, predicted.shape
    for p, t in zip(predicted.flatten(0, 1).tolist(), target.flatten(0, 1).tolist(), strict=True):
        mean = sum(t) / d
        deviation = math.sqrt(sum((v - mean) ** 2 for v in t) / d + 1e-5)
        for a, b in zip(p, t, strict=True):
            gap = abs(a - (b - mean) / deviation)
            total += gap**2 / 2 if gap < 1 else gap - 0.5
    return total / (n * m * d)


def test_loss_is_smooth_l1_of_normalized_targets(pair):
    assert prediction_loss(*pair).item() == pytest.approx(slow_loss(*pair), abs=1e-9)


def test_loss_by_hand():
    target = torch.tensor([[[3.0, 5.0]]], dtype=torch.float64)  # normalized: -1, 1
    for predicted, expected in (([-1, 1], 0), ([-0.5, 1], 0.0625), ([1, -1], 1.5)):
        found = prediction_loss(torch.tensor([[predicted]], dtype=torch.float64), target)
        assert found.item() == pytest.approx(expected, abs=1e-4)


def test_scale_and_shift_of_targets_do_not_matter(pair):
    predicted, target = pair
    torch.testing.assert_close(
        prediction_loss(predicted, 9 * target - 4), prediction_loss(*pair), rtol=1e-4, atol=0
    )


def test_gradients_are_those_of_the_loss(pair):
    assert gradcheck(prediction_loss, tuple(x.requires_grad_() for x in pair))


@pytest.mark.parametrize(
    ("u", "ranges", "grid", "size"),
    [
        ((0.0, 0.0), TARGET, (14, 14), (5, 6)),  # area 29.4, height / width 0.75
        ((1.0, 1.0), TARGET, (14, 14), (8, 5)),  # area 39.2, height / width 1.5
        ((0.0, 0.0), CONTEXT, (14, 14), (13, 13)),
        ((1.0, 0.0), CONTEXT, (14, 14), (14, 14)),
        ((0.5, 0.5), TARGET, (2, 2), (1, 1)),
        ((0.0, 0.0), CONTEXT, (2, 2), (2, 2)),
    ],
)
def test_size_of_blocks(u, ranges, grid, size):
    assert block_size(torch.tensor(u), ranges, grid) == size


def test_blocks_lie_anywhere_in_the_grid():
    u = torch.tensor([[0.0, 0.0], [0.999, 0.999], [0.5, 0.0]])
    found = place_blocks(u, (2, 1), (3, 2)).view(3, 3, 2).int().tolist()
    assert found[0] == [[1, 0], [1, 0], [0, 0]]
    assert found[1] == [[0, 0], [0, 1], [0, 1]]
    assert found[2] == [[0, 0], [1, 0], [1, 0]]


def test_context_is_what_targets_leave_of_its_block():
    block = torch.tensor([[1, 1, 1, 0]]).bool()
    targets = torch.tensor([[[1, 0, 0, 0], [0, 1, 0, 1]]]).bool()
    assert context_without(block, targets).int().tolist() == [[0, 0, 1, 0]]


def test_later_targets_stay_where_nothing_would_be_left():
    block = torch.ones(2, 4).bool()
    targets = torch.eye(4).bool().expand(2, -1, -1).clone()
    targets[1, 3] = targets[1, 0]
    assert context_without(block, targets).int().tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]


@pytest.mark.parametrize("cells", [2, 3, 4, 7, 14])
def test_drawn_blocks_fit_grids_of_any_size(cells):
    objective = make(16 * cells)
    for seed in range(20):
        torch.manual_seed(seed)
        keep, targets = random_blocks(torch.zeros(6, 1), objective.grid, 4)
        assert keep.shape[1] >= 1
        assert targets.shape[:2] == (6, 4)
        assert 0 <= targets.min() <= targets.max() < cells**2
        for row in range(6):
            assert len(set(keep[row].tolist())) == keep.shape[1]
            first = set(targets[row, 0].tolist())
            assert not first & set(keep[row].tolist())


def test_context_and_targets_are_apart_on_a_fine_grid():
    torch.manual_seed(0)
    keep, targets = random_blocks(torch.zeros(8, 1), make(224).grid, 4)
    for row in range(8):
        assert not set(keep[row].tolist()) & set(targets[row].flatten().tolist())


def test_what_is_not_context_does_not_influence_predictions():
    objective, x = make(), make_batch().views[0]
    keep, targets = random_blocks(x, objective.grid, 4)
    seen = torch.zeros(4, 16).scatter(1, keep, 1).bool().view(4, 1, 4, 4)
    seen = seen.repeat_interleave(16, 2).repeat_interleave(16, 3)
    other = torch.where(seen, x, torch.randn_like(x))
    predicted = objective.predict(x, keep, targets)
    torch.testing.assert_close(objective.predict(other, keep, targets), predicted)
    assert predicted.shape == (16, targets.shape[2], objective.encoder.num_features)


def test_order_of_the_context_does_not_matter():
    objective, x = make(), make_batch().views[0]
    keep, targets = random_blocks(x, objective.grid, 4)
    predicted = objective.predict(x, keep, targets)
    flipped = objective.predict(x, keep.flip(1), targets)
    torch.testing.assert_close(flipped, predicted, rtol=1e-4, atol=1e-5)


def test_one_patch_is_too_few():
    with pytest.raises(UsageError, match="two patches along a side"):
        make(16)
