"""Targets and loss agree with the authors' code, too: https://github.com/facebookresearch/fairseq
(`examples/data2vec`, `Data2VecImageModel`)."""

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import upsample_mask
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.data2vec import (
    Data2Vec,
    Data2VecConfig,
    latent_loss,
    latent_targets,
)


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return 2 * torch.randn(3, 2, 5, 2, 3, dtype=torch.float64) + 1


@pytest.fixture
def sample():
    torch.manual_seed(1)
    predicted, target = 3 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
    return predicted, target, torch.rand(3, 4, dtype=torch.float64)


def make(name="test_resnet", size=64, **options):
    torch.manual_seed(0)
    return Data2Vec(create_encoder(name, 3, size), Data2VecConfig(**options))


def make_batch(size=64):
    torch.manual_seed(1)
    none = torch.zeros(4, dtype=torch.long)
    return Batch((torch.randn(4, 3, size, size),), none, none, none[:, None], ())


def slow_targets(maps):
    """Section 3.3 with loops: each cell of each map normalized, then averaged over maps."""
    k, b, d, h, w = maps.shape
    rows = []
    for n in range(b):
        for i in range(h):
            for j in range(w):
                total = [0.0] * d
                for m in range(k):
                    cell = maps[m, n, :, i, j].tolist()
                    mean = sum(cell) / d
                    deviation = math.sqrt(sum((v - mean) ** 2 for v in cell) / d + 1e-5)
                    total = [t + (v - mean) / deviation / k for t, v in zip(total, cell)]  # noqa: B905
                rows.append(total)
    return torch.tensor(rows, dtype=torch.float64).view(b, h * w, d)


def slow_loss(predicted, target, share, beta):
    """Eq. 2 with loops; a cell counts by the share of it that is hidden."""
    total, (b, n, d) = 0.0, predicted.shape
    for i in range(b):
        error = weight = 0.0
        for j in range(n):
            for k in range(d):
                gap = abs(target[i, j, k].item() - predicted[i, j, k].item())
                value = gap**2 / 2 / beta if gap <= beta else gap - beta / 2
                error += share[i, j].item() * value / d
            weight += share[i, j].item()
        total += error / weight
    return total / b


def test_targets_agree_with_section_3_3(maps):
    torch.testing.assert_close(latent_targets(maps), slow_targets(maps), rtol=0, atol=1e-9)


def test_loss_agrees_with_equation_2(sample):
    expected = slow_loss(*sample, 2.0)
    assert latent_loss(*sample, 2.0).item() == pytest.approx(expected, abs=1e-9)


def test_loss_counts_hidden_cells_only():
    predicted = torch.tensor([[[1.0], [100.0]]])
    found = latent_loss(predicted, torch.zeros(1, 2, 1), torch.tensor([[1.0, 0.0]]), 2.0)
    assert found.item() == 0.25


def test_scale_and_shift_of_maps_do_not_matter(maps):
    torch.testing.assert_close(
        latent_targets(7 * maps + 3), latent_targets(maps), rtol=0, atol=1e-4
    )


def test_images_may_be_permuted_together(sample):
    order = torch.tensor([2, 0, 1])
    permuted = latent_loss(*(part[order] for part in sample), 2.0)
    torch.testing.assert_close(permuted, latent_loss(*sample, 2.0))


def test_gradients_are_those_of_the_loss(sample):
    predicted, target, share = sample
    assert gradcheck(latent_loss, (predicted.requires_grad_(), target, share, 2.0))


def test_targets_of_a_vit_are_of_its_last_blocks():
    objective, x = make("test_vit", top=2), make_batch().views[0]
    expected = latent_targets(torch.stack(objective.teacher.encoder.forward_pyramid(x)[-2:]))
    assert torch.equal(objective.target(x), expected)


def test_targets_of_a_cnn_are_of_its_last_map():
    objective, x = make(), make_batch().views[0]
    expected = latent_targets(objective.teacher.encoder.forward_map(x)[None])
    torch.testing.assert_close(objective.target(x), expected)


def test_the_student_does_not_see_hidden_pixels(monkeypatch):
    objective, batch, seen = make(), make_batch(), []
    levels, mask = objective.encoder.forward_pyramid, objective.cover.draw(batch.views[0], 0.6)
    monkeypatch.setattr(objective.cover, "draw", lambda x, ratio: mask)
    monkeypatch.setattr(objective.encoder, "forward_pyramid", lambda x: seen.append(x) or levels(x))
    objective(batch)
    hidden = upsample_mask(mask, (64, 64)).expand(-1, 3, -1, -1)
    assert torch.equal(seen[0], objective.cover(batch.views[0], mask))
    assert torch.equal(seen[0][~hidden], batch.views[0][~hidden])


def test_spread_of_targets_is_none_where_all_places_are_alike():
    objective, batch = make("test_vit"), make_batch()
    assert objective(batch).metrics["target_std"] > 0.05
    nn.init.zeros_(objective.teacher.encoder.body.norm.weight)
    assert objective(batch).metrics["target_std"].item() == pytest.approx(0, abs=1e-5)
