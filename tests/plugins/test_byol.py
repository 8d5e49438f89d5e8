"""The loss and the momentum agree with the authors' code, too:
https://github.com/google-deepmind/deepmind-research/tree/master/byol
(`helpers.regression_loss`, `schedules.target_ema`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import cosine_momentum
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.byol import BYOL, BYOLConfig, regression_loss


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return BYOL(create_encoder("test_resnet", 3, 32), BYOLConfig(hidden_dim=32, out_dim=16))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def slow_regression_loss(q, z):
    """Eq. 2, squared distance of normalized vectors, with loops."""
    total = 0.0
    for a, b in zip(q.tolist(), z.tolist(), strict=True):
        length_a = math.sqrt(sum(v * v for v in a))
        length_b = math.sqrt(sum(v * v for v in b))
        total += sum((x / length_a - y / length_b) ** 2 for x, y in zip(a, b, strict=True))
    return total / len(q)


def test_loss_agrees_with_equation_2(pair):
    found = regression_loss(*pair).item()
    assert found == pytest.approx(slow_regression_loss(*pair), abs=1e-9)


@pytest.mark.parametrize(("other", "expected"), [([2, 0], 0), ([0, 3], 2), ([-1, 0], 4)])
def test_loss_of_equal_orthogonal_and_opposite_vectors(other, expected):
    q, z = torch.tensor([[1.0, 0.0]]), torch.tensor([other], dtype=torch.float32)
    assert regression_loss(q, z).item() == pytest.approx(expected, abs=1e-6)


def test_images_may_be_permuted_together_but_not_apart(pair):
    (q, z), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(regression_loss(q[order], z[order]), regression_loss(q, z))
    assert not torch.isclose(regression_loss(q[order], z), regression_loss(q, z))


def test_length_does_not_matter(pair):
    q, z = pair
    torch.testing.assert_close(regression_loss(3 * q, 0.1 * z), regression_loss(q, z))


def test_gradient_is_that_of_the_loss(pair):
    q, z = (x.requires_grad_() for x in pair)
    assert gradcheck(regression_loss, (q, z))


def test_momentum_rises_from_its_base_to_one():
    assert cosine_momentum(0, 100, 0.99) == pytest.approx(0.99)
    assert cosine_momentum(50, 100, 0.99) == pytest.approx(0.995)
    assert cosine_momentum(100, 100, 0.99) == 1.0


def test_loss_is_that_of_both_directions(objective, batch):
    z = torch.cat(batch.views)
    q1, q2 = objective.predictor(objective.project(objective.encoder(z))).chunk(2)
    z1, z2 = objective.teacher.projector(objective.teacher.encoder(z)).chunk(2)
    expected = regression_loss(q1, z2) + regression_loss(q2, z1)
    torch.testing.assert_close(objective(batch).loss, expected)


def test_views_may_be_swapped(objective, batch):
    loss = objective(batch).loss
    batch.views = batch.views[::-1]
    torch.testing.assert_close(objective(batch).loss, loss)
