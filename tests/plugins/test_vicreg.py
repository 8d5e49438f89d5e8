"""The terms agree with the authors' code, too:
https://github.com/facebookresearch/vicreg/blob/main/main_vicreg.py (`VICReg.forward`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.vicreg import VICReg, VICRegConfig, covariance, invariance, variance


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return (torch.randn(2, 7, 5, dtype=torch.float64) * 0.8).unbind()


def slow_variance(z, eps=1e-4):
    """Eq. 1 and 2 with loops; Var as in the authors' code, divided by n - 1."""
    n, total, columns = len(z), 0.0, z.T.tolist()
    for column in columns:
        mean = sum(column) / n
        spread = sum((v - mean) ** 2 for v in column) / (n - 1)
        total += max(0.0, 1 - math.sqrt(spread + eps))
    return total / len(columns)


def slow_covariance(z):
    """Eq. 3 and 4 with loops."""
    rows, (n, d) = z.tolist(), z.shape
    mean = [sum(row[i] for row in rows) / n for i in range(d)]
    total = 0.0
    for i in range(d):
        for j in range(d):
            c = sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in rows) / (n - 1)
            total += c**2 if i != j else 0
    return total / d


def slow_invariance(z1, z2):
    """Eq. 5 with loops; divided by n d as in the authors' code, not by n as in the paper."""
    pairs = zip(z1.flatten().tolist(), z2.flatten().tolist(), strict=True)
    return sum((a - b) ** 2 for a, b in pairs) / z1.numel()


def test_variance_agrees_with_equation_1(pair):
    z = pair[0] * torch.tensor([0.1, 0.5, 1.0, 2.0, 5.0])
    assert variance(z).item() == pytest.approx(slow_variance(z), abs=1e-9)


def test_covariance_agrees_with_equation_4(pair):
    assert covariance(pair[0] + 3).item() == pytest.approx(slow_covariance(pair[0] + 3), abs=1e-9)


def test_invariance_agrees_with_equation_5(pair):
    assert invariance(*pair).item() == pytest.approx(slow_invariance(*pair), abs=1e-9)


def test_variance_of_constant_embeddings_is_one_but_for_eps():
    z = torch.full((4, 3), 7.0, dtype=torch.float64)
    assert variance(z).item() == pytest.approx(1 - 0.01, abs=1e-9)
    assert variance(100 * torch.eye(3)).item() == 0


def test_covariance_of_equal_and_of_orthogonal_dimensions():
    x = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    # two off-diagonal elements of 4/3, squared, over two dimensions
    assert covariance(torch.stack([x, x], dim=1)).item() == pytest.approx(16 / 9, abs=1e-9)
    assert covariance(torch.stack([x, y], dim=1)).item() == pytest.approx(0, abs=1e-9)


def test_invariance_of_equal_views_is_zero(pair):
    assert invariance(pair[0], pair[0]).item() == 0
    assert invariance(pair[0], pair[0] + 2).item() == pytest.approx(4, abs=1e-9)


def test_terms_do_not_depend_on_the_order_of_images(pair):
    (z1, z2), order = pair, torch.tensor([6, 3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(variance(z1[order]), variance(z1))
    torch.testing.assert_close(covariance(z1[order]), covariance(z1))
    torch.testing.assert_close(invariance(z1[order], z2[order]), invariance(z1, z2))
    assert not torch.isclose(invariance(z1, z2[order]), invariance(z1, z2))


@pytest.mark.parametrize("term", [variance, covariance])
def test_terms_of_one_view_ignore_a_shift(pair, term):
    torch.testing.assert_close(term(pair[0] + 5), term(pair[0]))


def test_gradients_are_those_of_the_terms(pair):
    z1, z2 = (z.requires_grad_() for z in pair)
    assert gradcheck(variance, (z1,))
    assert gradcheck(covariance, (z1,))
    assert gradcheck(invariance, (z1, z2))


def make(**options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, 32)
    return VICReg(encoder, VICRegConfig(**{"hidden_dim": 32, "out_dim": 16, **options}))


def make_batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def test_loss_is_the_weighted_sum_of_equation_6():
    objective, batch = make(invariance=3.0, variance=5.0, covariance=7.0).double(), make_batch()
    batch.views = tuple(view.double() for view in batch.views)
    z1, z2 = objective.project(objective.encoder(torch.cat(batch.views))).detach().chunk(2)
    expected = 3 * slow_invariance(z1, z2)
    expected += 5 * (slow_variance(z1) + slow_variance(z2)) / 2
    expected += 7 * (slow_covariance(z1) + slow_covariance(z2))
    assert objective(batch).loss.item() == pytest.approx(expected, rel=1e-9)


def test_views_may_be_swapped():
    objective, batch = make(), make_batch()
    swapped = Batch(batch.views[::-1], batch.indices, batch.groups, batch.positions, ())
    torch.testing.assert_close(objective(batch).loss, objective(swapped).loss)


def test_metrics_are_the_detached_terms():
    metrics = make()(make_batch()).metrics
    assert list(metrics) == ["invariance", "variance", "covariance"]
    assert not any(value.requires_grad for value in metrics.values())
