"""Patches, gaps and guards as section 3.1 of the paper has them."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives import relative_patch
from ssl_kit.plugins.objectives.relative_patch import (
    RelativePatch,
    RelativePatchConfig,
    drop_colors,
    pairs,
    relative_patch_loss,
)


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(24, 8, dtype=torch.float64)


def make(**options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, 64)
    return RelativePatch(encoder, RelativePatchConfig(**{"hidden_dim": 16, **options}))


def slow_loss(logits):
    """-log of the probability of each pair's place, with loops."""
    total = 0.0
    for image in range(len(logits) // 8):
        for place in range(8):
            row = logits[8 * image + place].tolist()
            total -= math.log(math.exp(row[place]) / sum(math.exp(value) for value in row))
    return total / len(logits)


def test_loss_agrees_with_cross_entropy(logits):
    assert relative_patch_loss(logits).item() == pytest.approx(slow_loss(logits), abs=1e-9)


def test_loss_of_guessing_and_of_knowing():
    assert relative_patch_loss(torch.zeros(16, 8)).item() == pytest.approx(math.log(8))
    assert relative_patch_loss(100 * torch.eye(8).repeat(2, 1)).item() == pytest.approx(0, abs=1e-9)


def test_images_may_be_permuted_but_not_places(logits):
    images = logits.view(3, 8, 8)[[2, 0, 1]].flatten(0, 1)
    loss = relative_patch_loss(logits)
    torch.testing.assert_close(relative_patch_loss(images), loss)
    assert not torch.isclose(relative_patch_loss(logits.roll(1, dims=0)), loss)


def test_gradient_is_that_of_the_loss(logits):
    assert gradcheck(relative_patch_loss, (logits.requires_grad_(),))


def test_the_center_is_paired_with_its_neighbors_in_order():
    features = torch.arange(18.0).view(2, 9, 1)
    expected = [[4, n] for n in (0, 1, 2, 3, 5, 6, 7, 8)]
    expected += [[13, 9 + n] for n in (0, 1, 2, 3, 5, 6, 7, 8)]
    assert pairs(features).tolist() == expected


def test_dropping_colors_leaves_one_channel():
    x = torch.ones(3, 3, 2, 2)
    left = drop_colors(x, torch.tensor([True, False, True]), torch.tensor([2, 0, 1]))
    assert left.amax((2, 3)).tolist() == [[0, 0, 1], [1, 1, 1], [0, 1, 0]]


def test_one_channel_is_never_dropped():
    x = torch.randn(4, 1, 2, 2)
    dropped, kept = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.long)
    assert torch.equal(drop_colors(x, dropped, kept), x)


def test_the_grid_is_the_papers():
    (view,) = RelativePatch.views(RelativePatchConfig(), 192)
    assert (view.size, view.policy) == (3 * (96 + 48), "upright")


def test_patches_lie_half_a_patch_apart_give_or_take_the_jitter(monkeypatch):
    monkeypatch.setattr(relative_patch, "instance_norm", lambda patches: patches)
    y, x = torch.meshgrid(torch.arange(144.0), torch.arange(144.0), indexing="ij")
    patches = make(color_drop=0.0).patches(torch.stack([y, x, x]).expand(40, 3, 144, 144))
    corners = patches[:, :2, 0, 0].view(40, 9, 2)  # top, left
    cell = torch.cartesian_prod(torch.arange(3), torch.arange(3)) * 48
    shift = corners - cell - 8  # of a gap of 16
    assert shift.abs().max() <= 3
    assert shift.min() < 0 < shift.max()


def test_a_gap_of_its_own():
    (view,) = RelativePatch.views(RelativePatchConfig(gap=0.0), 64)
    assert view.size == 3 * 32


@pytest.mark.parametrize(("drop", "share"), [(0.0, 0.0), (1.0, 2 / 3)])
def test_colors_are_dropped_as_often_as_asked(drop, share):
    patches = make(color_drop=drop).patches(torch.randn(4, 3, 144, 144))
    assert patches.shape == (36, 3, 32, 32)
    assert (patches == 0).float().mean().item() == pytest.approx(share, abs=1e-3)


def test_accuracy_is_the_share_of_places_told():
    objective = make()
    objective.head.forward = lambda pairs: torch.eye(8)[0].expand(len(pairs), 8)  # always the first
    none = torch.zeros(2, dtype=torch.long)
    batch = Batch((torch.randn(2, 3, 144, 144),), none, none, none[:, None], ())
    objective.encoder.forward = lambda x: torch.zeros(len(x), 8)
    assert objective(batch).metrics["position_accuracy"] == 1 / 8
