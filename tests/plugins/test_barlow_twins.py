"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/barlowtwins/blob/main/main.py (`BarlowTwins.forward`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.barlow_twins import (
    BarlowTwins,
    BarlowTwinsConfig,
    barlow_twins_loss,
    cross_correlation,
)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 7, 5, dtype=torch.float64).unbind()


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return BarlowTwins(
        create_encoder("test_resnet", 3, 32), BarlowTwinsConfig(hidden_dim=32, out_dim=16)
    )


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def slow_cross_correlation(z1, z2):
    """Eq. 2 with loops, of embeddings made mean-centered along the batch."""
    a, b = (z.numpy() - z.numpy().mean(axis=0) for z in (z1, z2))
    c = np.zeros((a.shape[1], b.shape[1]))
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            above = sum(x * y for x, y in zip(a[:, i], b[:, j], strict=True))
            below = math.sqrt(sum(x * x for x in a[:, i])) * math.sqrt(sum(y * y for y in b[:, j]))
            c[i, j] = above / below
    return c


def slow_loss(c, redundancy):
    """Eq. 1 with loops."""
    total = 0.0
    for i in range(len(c)):
        for j in range(len(c)):
            total += (1 - c[i, j]) ** 2 if i == j else redundancy * c[i, j] ** 2
    return total


def test_correlation_agrees_with_equation_2(pair):
    found = cross_correlation(*pair, eps=0.0).numpy()
    np.testing.assert_allclose(found, slow_cross_correlation(*pair), rtol=0, atol=1e-9)


def test_loss_agrees_with_equation_1(pair):
    c = slow_cross_correlation(*pair)
    found = barlow_twins_loss(torch.from_numpy(c), 0.3).item()
    assert found == pytest.approx(slow_loss(c, 0.3), abs=1e-9)


def test_loss_of_the_identity_is_zero_and_of_ones_counts_the_pairs():
    assert barlow_twins_loss(torch.eye(4), 0.5).item() == 0
    assert barlow_twins_loss(torch.ones(4, 4), 0.5).item() == pytest.approx(6)
    assert barlow_twins_loss(torch.zeros(4, 4), 0.5).item() == pytest.approx(4)


def test_correlation_of_a_dimension_with_itself_and_its_opposite():
    x = torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    assert cross_correlation(x, x, eps=0.0).item() == pytest.approx(1, abs=1e-9)
    assert cross_correlation(x, -x, eps=0.0).item() == pytest.approx(-1, abs=1e-9)


def test_constant_dimensions_have_no_correlation():
    assert torch.equal(cross_correlation(torch.ones(4, 3), torch.randn(4, 3)), torch.zeros(3, 3))


def test_swapping_views_transposes_the_correlation(pair):
    z1, z2 = pair
    c = cross_correlation(z1, z2)
    torch.testing.assert_close(cross_correlation(z2, z1), c.T)
    torch.testing.assert_close(barlow_twins_loss(c.T, 0.3), barlow_twins_loss(c, 0.3))


def test_scale_and_shift_of_a_dimension_do_not_matter(pair):
    z1, z2 = pair
    moved = cross_correlation(3 * z1 + 5, z2, eps=0.0)
    torch.testing.assert_close(moved, cross_correlation(z1, z2, eps=0.0))


def test_images_may_be_permuted_together_but_not_apart(pair):
    (z1, z2), order = pair, torch.tensor([6, 3, 0, 5, 1, 4, 2])
    c = cross_correlation(z1, z2)
    torch.testing.assert_close(cross_correlation(z1[order], z2[order]), c)
    assert not torch.allclose(cross_correlation(z1, z2[order]), c)


def test_gradients_are_those_of_the_loss(pair):
    z1, z2 = (z.requires_grad_() for z in pair)
    assert gradcheck(cross_correlation, (z1, z2))
    c = cross_correlation(z1, z2).detach().requires_grad_()
    assert gradcheck(lambda c: barlow_twins_loss(c, 0.3), (c,))


def test_loss_is_that_of_the_embeddings(objective, batch):
    z1, z2 = objective.project(objective.encoder(torch.cat(batch.views))).chunk(2)
    expected = barlow_twins_loss(cross_correlation(z1, z2), objective.config.redundancy)
    torch.testing.assert_close(objective(batch).loss, expected)


def test_views_may_be_swapped(objective, batch):
    loss = objective(batch).loss
    batch.views = batch.views[::-1]
    torch.testing.assert_close(objective(batch).loss, loss)
