"""The loss agrees with the authors' code, too:
https://github.com/google-research/simclr/blob/master/objective.py (`add_contrastive_loss`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit.plugins.objectives.simclr import SimCLR, SimCLRConfig, nt_xent


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


def slow_nt_xent(z1, z2, temperature):
    """Eq. 1 for every positive pair (i, j) and (j, i), with loops."""
    n, z = len(z1), [*z1.numpy(), *z2.numpy()]

    def similarity(i, k):
        return z[i] @ z[k] / (np.linalg.norm(z[i]) * np.linalg.norm(z[k])) / temperature

    total = 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        below = sum(math.exp(similarity(i, k)) for k in range(2 * n) if k != i)
        total += -math.log(math.exp(similarity(i, j)) / below)
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
def test_loss_agrees_with_equation_1(pair, temperature):
    found = nt_xent(*pair, temperature).item()
    assert found == pytest.approx(slow_nt_xent(*pair, temperature), abs=1e-9)


def test_loss_of_orthogonal_images_with_equal_views():
    z = torch.eye(3, dtype=torch.float64)
    expected = -math.log(math.e / (math.e + 4))  # one positive at 1, four negatives at 0
    assert nt_xent(z, z, 1.0).item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_equal_projections_is_that_of_guessing():
    z = torch.ones(4, 3, dtype=torch.float64)
    assert nt_xent(z, z, 0.5).item() == pytest.approx(math.log(7), abs=1e-9)


def test_views_may_be_swapped(pair):
    z1, z2 = pair
    torch.testing.assert_close(nt_xent(z1, z2, 0.5), nt_xent(z2, z1, 0.5))


def test_images_may_be_permuted_together_but_not_apart(pair):
    (z1, z2), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = nt_xent(z1, z2, 0.5)
    torch.testing.assert_close(nt_xent(z1[order], z2[order], 0.5), loss)
    assert not torch.isclose(nt_xent(z1, z2[order], 0.5), loss)


def test_length_of_projections_does_not_matter(pair):
    z1, z2 = pair
    torch.testing.assert_close(nt_xent(3 * z1, 0.1 * z2, 0.5), nt_xent(z1, z2, 0.5))


def test_gradient_is_that_of_the_loss(pair):
    z1, z2 = (z.requires_grad_() for z in pair)
    assert gradcheck(lambda a, b: nt_xent(a, b, 0.5), (z1, z2))


def test_small_temperatures_stay_finite_in_half_precision():
    z = torch.randn(4, 8).bfloat16()
    assert nt_xent(z, z, 0.01).isfinite()


def test_asks_for_two_views_of_the_same_kind():
    first, second = SimCLR.views(SimCLRConfig(), 96)
    assert first == second
    assert first.size == 96
