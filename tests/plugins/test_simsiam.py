"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/simsiam (`main_simsiam.train`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.simsiam import SimSiam, SimSiamConfig, negative_cosine


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return SimSiam(
        create_encoder("test_resnet", 3, 32), SimSiamConfig(out_dim=32, bottleneck_dim=8)
    )


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def slow_negative_cosine(p, z):
    """Eq. 1 with loops: minus the product of the vectors, each divided by its length."""
    total = 0.0
    for a, b in zip(p.tolist(), z.tolist(), strict=True):
        length_a = math.sqrt(sum(v * v for v in a))
        length_b = math.sqrt(sum(v * v for v in b))
        total -= sum(x / length_a * y / length_b for x, y in zip(a, b, strict=True))
    return total / len(p)


def test_loss_agrees_with_equation_1(pair):
    assert negative_cosine(*pair).item() == pytest.approx(slow_negative_cosine(*pair), abs=1e-9)


@pytest.mark.parametrize(("other", "expected"), [([2, 0], -1), ([0, 3], 0), ([-1, 0], 1)])
def test_loss_of_equal_orthogonal_and_opposite_vectors(other, expected):
    p, z = torch.tensor([[1.0, 0.0]]), torch.tensor([other], dtype=torch.float32)
    assert negative_cosine(p, z).item() == pytest.approx(expected, abs=1e-6)


def test_images_may_be_permuted_together_but_not_apart(pair):
    (p, z), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(negative_cosine(p[order], z[order]), negative_cosine(p, z))
    assert not torch.isclose(negative_cosine(p[order], z), negative_cosine(p, z))


def test_length_does_not_matter(pair):
    p, z = pair
    torch.testing.assert_close(negative_cosine(3 * p, 0.1 * z), negative_cosine(p, z))


def test_gradient_is_that_of_the_loss(pair):
    p, z = pair
    assert gradcheck(lambda p: negative_cosine(p, z), (p.requires_grad_(),))


def test_gradient_of_the_projections_is_stopped(pair):
    p, z = (x.requires_grad_() for x in pair)
    negative_cosine(p, z).backward()
    assert p.grad is not None
    assert z.grad is None


def test_loss_is_half_of_both_directions(objective, batch):
    z = objective.projector(objective.encoder(torch.cat(batch.views)))
    (z1, z2), (p1, p2) = z.chunk(2), objective.predictor(z).chunk(2)
    expected = (slow_negative_cosine(p1, z2) + slow_negative_cosine(p2, z1)) / 2
    assert objective(batch).loss.item() == pytest.approx(expected, abs=1e-6)


def test_views_may_be_swapped(objective, batch):
    loss = objective(batch).loss
    batch.views = batch.views[::-1]
    torch.testing.assert_close(objective(batch).loss, loss)


def test_projections_are_normalized_and_cannot_be_shifted(objective, batch):
    z = objective.project(objective.encoder(batch.views[0]))
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(32), atol=1e-5, rtol=0)
    assert not [name for name, _ in objective.projector[-1].named_parameters()]
