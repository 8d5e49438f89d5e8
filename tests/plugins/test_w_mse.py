"""With absolute shrinkage of the covariance, the whitening would be the authors':
https://github.com/htdt/self-supervised/blob/master/methods/whitening.py (`Whitening2d`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.w_mse import WMSE, WMSEConfig, normalized_mse, whiten


@pytest.fixture
def v():
    torch.manual_seed(0)
    mixed = torch.randn(12, 4, dtype=torch.float64) @ torch.randn(4, 4, dtype=torch.float64)
    return 3 * mixed + 7


def slow_whiten(v, shrinkage=0.0, eps=1e-5):
    """W (v - mean) for each row, W from the Cholesky factor L of the covariance: W = L^-1.

    Of what is shrunk, rows are first divided by the standard deviations.
    """
    rows, (n, d) = v.numpy(), v.shape
    mean = rows.sum(axis=0) / n
    covariance = sum(np.outer(row - mean, row - mean) for row in rows) / (n - 1)
    scale = np.diag([1 / math.sqrt(covariance[j, j] + eps) for j in range(d)])
    shrunk = (1 - shrinkage) * scale @ covariance @ scale + shrinkage * np.eye(d)
    lower = np.zeros((d, d))
    for j in range(d):  # Cholesky-Banachiewicz
        for k in range(j + 1):
            rest = shrunk[j, k] - sum(lower[j, m] * lower[k, m] for m in range(k))
            lower[j, k] = math.sqrt(rest) if j == k else rest / lower[k, k]
    return np.array([np.linalg.inv(lower) @ scale @ (row - mean) for row in rows])


def slow_mse(z1, z2):
    """The normalized distance of section 3, with loops."""
    total = 0.0
    for a, b in zip(np.asarray(z1), np.asarray(z2), strict=True):
        total += ((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2).sum()
    return total / len(z1)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_whitening_agrees_with_the_paper(v, shrinkage):
    found = whiten(v, shrinkage).numpy()
    np.testing.assert_allclose(found, slow_whiten(v, shrinkage), rtol=1e-9, atol=1e-9)


def test_without_shrinkage_it_is_the_inverse_factor_of_the_covariance(v):
    factor = np.linalg.cholesky(np.cov(v.numpy(), rowvar=False))
    expected = np.linalg.solve(factor, (v.numpy() - v.numpy().mean(axis=0)).T).T
    np.testing.assert_allclose(whiten(v, 0.0).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_whitened_rows_have_mean_zero_and_the_identity_as_covariance(v):
    white = whiten(v, 0.0)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(4).double())
    torch.testing.assert_close(white.T.cov(), torch.eye(4).double())


def test_full_shrinkage_only_standardizes(v):
    torch.testing.assert_close(whiten(v, 1.0, eps=0.0), (v - v.mean(dim=0)) / v.std(dim=0))


def test_scale_and_shift_of_dimensions_do_not_matter(v):
    moved = v * torch.tensor([0.1, 1.0, 10.0, 100.0]) - 5
    torch.testing.assert_close(whiten(moved, 1e-3, eps=0.0), whiten(v, 1e-3, eps=0.0))


def test_mse_agrees_with_the_paper(v):
    z1, z2 = v[:6], v[6:]
    assert normalized_mse(z1, z2).item() == pytest.approx(slow_mse(z1, z2), abs=1e-9)


@pytest.mark.parametrize(("other", "expected"), [([2, 0], 0), ([0, 3], 2), ([-1, 0], 4)])
def test_mse_of_equal_orthogonal_and_opposite_vectors(other, expected):
    z1, z2 = torch.tensor([[1.0, 0.0]]), torch.tensor([other], dtype=torch.float32)
    assert normalized_mse(z1, z2).item() == pytest.approx(expected, abs=1e-6)


def test_order_of_images_does_not_matter(v):
    order = torch.tensor([6, 3, 0, 5, 1, 4, 2, 11, 10, 7, 9, 8])
    torch.testing.assert_close(whiten(v[order], 1e-3), whiten(v, 1e-3)[order])


def test_gradients_are_those_of_whitening_and_distance(v):
    v.requires_grad_()
    assert gradcheck(lambda v: whiten(v, 1e-3), (v,))
    assert gradcheck(normalized_mse, (v[:6], v[6:]))


@pytest.mark.parametrize("rows", [2, 5, 64])
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e4])
def test_few_and_constant_rows_are_whitened_in_float32(rows, scale):
    torch.manual_seed(0)
    v = (scale * torch.randn(rows, 3) @ torch.randn(3, 64) + scale).requires_grad_()
    white = whiten(v, 1e-3)
    normalized_mse(white, white.roll(1, dims=0)).backward()
    assert white.isfinite().all()
    assert v.grad.isfinite().all()


def test_not_a_number_is_passed_on():
    v = torch.randn(8, 3)
    v[2, 1] = torch.nan
    assert normalized_mse(whiten(v, 1e-3), whiten(v, 1e-3)).isnan()


def make(**options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, 32)
    return WMSE(encoder, WMSEConfig(**{"hidden_dim": 32, "out_dim": 2, **options}))


def make_batch(views=2, images=11):
    torch.manual_seed(1)
    image = torch.randn(images, 3, 32, 32)
    none = torch.zeros(images, dtype=torch.long)
    made = tuple(image + 0.1 * torch.randn_like(image) for _ in range(views))
    return Batch(made, none, none, none[:, None], ())


def test_sub_batches_of_at_least_twice_the_width_are_whitened_apart():
    objective, order = make(), torch.randperm(11)
    v = torch.randn(11, 2)
    white = objective.whiten_slices(v, order)
    for part, rows in ((white[:6], order[:6]), (white[6:], order[6:])):
        torch.testing.assert_close(part, whiten(v[rows], 1e-3))


def test_a_batch_below_twice_the_width_is_whitened_as_a_whole():
    objective, v = make(out_dim=8), torch.randn(11, 8)
    torch.testing.assert_close(objective.whiten_slices(v, torch.arange(11)), whiten(v, 1e-3))


@pytest.mark.parametrize("views", [2, 4])
def test_loss_is_the_mean_over_all_pairs_of_views(views):
    objective, batch = make(num_views=views, out_dim=8), make_batch(views)
    v = objective.project(objective.encoder(torch.cat(batch.views))).detach().double()
    white = [slow_whiten(part, 1e-3) for part in v.chunk(views)]
    pairs = [slow_mse(white[i], white[j]) for i in range(views) for j in range(i)]
    assert objective(batch).loss.item() == pytest.approx(sum(pairs) / len(pairs), abs=1e-3)


def test_slices_are_drawn_anew():
    objective, batch = make(), make_batch()
    assert objective(batch).loss != objective(batch).loss


def test_views_may_be_swapped():
    objective, batch = make(out_dim=8), make_batch()
    loss = objective(batch).loss
    batch.views = batch.views[::-1]
    torch.testing.assert_close(objective(batch).loss, loss)


def test_asks_for_as_many_views_as_positives():
    assert len(WMSE.views(WMSEConfig(num_views=4), 64)) == 4
