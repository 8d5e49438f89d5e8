"""Eq. 6 is half the authors' sum over both directions (in that of eq. 7 they leave out the mean):
https://github.com/raminnakhli/Decoupled-Contrastive-Learning (`loss/dcl.py`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit.plugins.objectives.dcl import dcl
from ssl_kit.plugins.objectives.simclr import nt_xent


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


def slow_dcl(z1, z2, temperature, sigma=None):
    """Eq. 6, or eq. 7 with a sigma, for each image and view, with loops."""
    n = len(z1)
    z = [row / np.linalg.norm(row) for row in np.concatenate([z1.numpy(), z2.numpy()])]
    agreement = [math.exp(z[i] @ z[i + n] / sigma) if sigma else 1.0 for i in range(n)]
    mean = sum(agreement) / n
    total = 0.0
    for i in range(2 * n):
        positive = (i + n) % (2 * n)
        weight = 2 - agreement[i % n] / mean
        below = sum(
            math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k not in (i, positive)
        )
        total += -weight * (z[i] @ z[positive]) / temperature + math.log(below)
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
def test_loss_agrees_with_equation_6(pair, temperature):
    found = dcl(*pair, temperature).item()
    assert found == pytest.approx(slow_dcl(*pair, temperature), abs=1e-9)


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_weighted_loss_agrees_with_equation_7(pair, sigma):
    found = dcl(*pair, 0.1, sigma).item()
    assert found == pytest.approx(slow_dcl(*pair, 0.1, sigma), abs=1e-9)


def test_loss_of_orthogonal_images_with_equal_views():
    z = torch.eye(3, dtype=torch.float64)
    assert dcl(z, z, 1.0).item() == pytest.approx(math.log(4) - 1, abs=1e-9)  # four negatives at 0


def test_loss_of_equal_projections():
    z = torch.ones(4, 3, dtype=torch.float64)
    assert dcl(z, z, 0.5).item() == pytest.approx(math.log(6), abs=1e-9)


def test_equal_agreement_is_weighted_by_one():
    z = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(dcl(z, z, 0.5, 0.5), dcl(z, z, 0.5))


def test_nt_xent_is_more_by_the_positive_in_its_denominator(pair):
    assert dcl(*pair, 0.1) < nt_xent(*pair, 0.1)


def test_views_may_be_swapped(pair):
    z1, z2 = pair
    torch.testing.assert_close(dcl(z1, z2, 0.1, 0.5), dcl(z2, z1, 0.1, 0.5))


def test_images_may_be_permuted_together_but_not_apart(pair):
    (z1, z2), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = dcl(z1, z2, 0.5, 0.5)
    torch.testing.assert_close(dcl(z1[order], z2[order], 0.5, 0.5), loss)
    assert not torch.isclose(dcl(z1, z2[order], 0.5, 0.5), loss)


def test_length_of_projections_does_not_matter(pair):
    z1, z2 = pair
    torch.testing.assert_close(dcl(3 * z1, 0.1 * z2, 0.5), dcl(z1, z2, 0.5))


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_gradient_is_that_of_the_loss(pair, sigma):
    z1, z2 = (z.requires_grad_() for z in pair)
    assert gradcheck(lambda a, b: dcl(a, b, 0.5, sigma), (z1, z2))


def test_small_temperatures_stay_finite_in_half_precision():
    z = torch.randn(4, 8).bfloat16()
    assert dcl(z, z, 0.01, 0.1).isfinite()
