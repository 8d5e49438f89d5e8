import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.tico import (
    TiCo,
    TiCoConfig,
    covariance_contrast,
    invariance,
    moving_covariance,
)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return normalize(torch.randn(2, 6, 5, dtype=torch.float64), dim=2).unbind()


@pytest.fixture
def c():
    torch.manual_seed(1)
    root = torch.randn(5, 5, dtype=torch.float64)
    return root @ root.T / 25


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return TiCo(create_encoder("test_resnet", 3, 32), TiCoConfig(hidden_dim=32, out_dim=16))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def slow_covariance(c, z, beta):
    """Algorithm 1 with loops."""
    new, (b, d) = c.clone(), z.shape
    for i in range(d):
        for j in range(d):
            mean = sum(row[i] * row[j] for row in z.tolist()) / b
            new[i, j] = beta * c[i, j] + (1 - beta) * mean
    return new


def slow_terms(z1, z2, c):
    """The two terms of algorithm 1 with loops."""
    first, second, c = z1.tolist(), z2.tolist(), c.tolist()
    agreement = sum(
        x * y for a, b in zip(first, second, strict=True) for x, y in zip(a, b, strict=True)
    )
    spread = sum(z[i] * c[i][j] * z[j] for z in first for i in range(len(z)) for j in range(len(z)))
    return -agreement / len(first), spread / len(first)


def encoded(objective, batch):
    first, second = batch.views
    z1 = normalize(objective.projector(objective.encoder(first)), dim=1)
    z2 = normalize(objective.teacher.projector(objective.teacher.encoder(second)), dim=1)
    return z1.detach(), z2.detach()


def test_covariance_agrees_with_algorithm_1(pair, c):
    found = moving_covariance(c, pair[0], 0.9)
    torch.testing.assert_close(found, slow_covariance(c, pair[0], 0.9), rtol=1e-9, atol=1e-9)


def test_terms_agree_with_algorithm_1(pair, c):
    found = invariance(*pair).item(), covariance_contrast(pair[0], c).item()
    assert found == pytest.approx(slow_terms(*pair, c), abs=1e-9)


def test_invariance_of_equal_orthogonal_and_opposite_views():
    z = torch.eye(2, dtype=torch.float64)
    assert [invariance(z, other).item() for other in (z, z.flip(0), -z)] == [-1, 0, 1]


def test_contrast_of_spread_and_of_collapsed_embeddings():
    spread, collapsed = torch.eye(4), torch.eye(4)[:1].expand(4, -1)
    for z, expected in ((spread, 1 / 4), (collapsed, 1)):
        c = moving_covariance(torch.zeros(4, 4), z, 0.0)
        assert covariance_contrast(z, c).item() == pytest.approx(expected)


def test_covariance_of_unit_vectors_keeps_a_trace_of_one(pair):
    c = torch.eye(5, dtype=torch.float64) / 5
    assert moving_covariance(c, pair[0], 0.9).trace().item() == pytest.approx(1)


def test_images_may_be_permuted_together_but_not_apart(pair, c):
    (z1, z2), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(invariance(z1[order], z2[order]), invariance(z1, z2))
    torch.testing.assert_close(covariance_contrast(z1[order], c), covariance_contrast(z1, c))
    torch.testing.assert_close(moving_covariance(c, z1[order], 0.9), moving_covariance(c, z1, 0.9))
    assert not torch.isclose(invariance(z1, z2[order]), invariance(z1, z2))


def test_a_rotation_of_all_embeddings_does_not_matter(pair):
    z1, z2 = pair
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    zero = torch.zeros(5, 5, dtype=torch.float64)

    def terms(z1, z2):
        return torch.stack(
            [invariance(z1, z2), covariance_contrast(z1, moving_covariance(zero, z1, 0.9))]
        )

    torch.testing.assert_close(terms(z1 @ turn, z2 @ turn), terms(z1, z2))


def test_gradients_are_those_of_the_terms(pair, c):
    z1, z2 = (z.requires_grad_() for z in pair)
    assert gradcheck(invariance, (z1, z2))
    assert gradcheck(covariance_contrast, (z1, c))
    assert gradcheck(lambda z: covariance_contrast(z, moving_covariance(c, z, 0.9)), (z1,))


def test_the_covariance_gets_no_gradient(objective, batch):
    z1, z2 = encoded(objective, batch)
    c = moving_covariance(objective.covariance, z1, 0.9).detach() / (1 - 0.9)
    z1 = z1.detach().requires_grad_()
    (invariance(z1, z2) + 8 * covariance_contrast(z1, c)).backward()
    expected = (-z2 + 16 * z1 @ c) / len(z1)
    torch.testing.assert_close(z1.grad, expected, rtol=1e-4, atol=1e-6)
    objective.zero_grad()
    objective(batch).loss.backward()
    found = [p.grad.clone() for p in objective.projector.parameters()]
    objective.zero_grad()
    normalize(objective.project(objective.encoder(batch.views[0])), dim=1).backward(expected)
    for p, grad in zip(objective.projector.parameters(), found, strict=True):
        torch.testing.assert_close(p.grad, grad, rtol=1e-3, atol=1e-5)


def test_contrast_has_its_full_weight_from_the_first_step(objective, batch):
    batch.views = tuple(view[:1].repeat(8, 1, 1, 1) for view in batch.views)
    for _ in range(2):
        assert objective(batch).metrics["contrast"].item() == pytest.approx(1, abs=1e-3)


def test_loss_weighs_the_terms_with_the_covariance_of_this_step(objective, batch):
    z1, z2 = encoded(objective, batch)
    c = slow_covariance(objective.covariance, z1, 0.9)
    agreement, spread = slow_terms(z1, z2, c / (1 - 0.9))
    output = objective(batch)
    expected = agreement + objective.config.rho * spread
    assert output.loss.item() == pytest.approx(expected, abs=1e-5)
    found = [output.metrics[name].item() for name in ("invariance", "contrast")]
    assert found == pytest.approx([agreement, spread], abs=1e-5)


def test_covariance_moves_with_every_batch_and_is_saved(objective, batch):
    z1, _ = encoded(objective, batch)
    objective(batch)
    objective(batch)
    torch.testing.assert_close(objective.state_dict()["covariance"], 0.19 * z1.T @ z1 / 8)
    assert not objective.covariance.requires_grad
