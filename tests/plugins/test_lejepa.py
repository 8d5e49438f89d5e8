"""The terms agree with the authors' code, too:
https://github.com/rbalestr-lab/lejepa (algorithms 1 and 2 of the paper)."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.lejepa import (
    LeJEPA,
    LeJEPAConfig,
    directions,
    epps_pulley,
    prediction,
    sigreg,
)


@pytest.fixture
def z():
    """Of 4 views of 7 images."""
    torch.manual_seed(0)
    return torch.randn(4, 7, 3, dtype=torch.float64)


@pytest.fixture
def a():
    torch.manual_seed(1)
    return directions(torch.rand(2, 3, 5, dtype=torch.float64))


def make(**options):
    torch.manual_seed(0)
    small = {"hidden_dim": 32, "out_dim": 8, "num_directions": 16, "local_crops": 2}
    return LeJEPA(create_encoder("test_resnet", 3, 32), LeJEPAConfig(**{**small, **options}))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    large = tuple(image + 0.1 * torch.randn_like(image) for _ in range(2))
    none = torch.zeros(8, dtype=torch.long)
    views = (*large, image[..., :16, :16].clone(), image[..., 16:, 16:].clone())
    return Batch(views, none, none, none[:, None], ())


def integrand(x, t):
    """|empirical - Gaussian characteristic function|^2 times the Gaussian window, at t."""
    empirical = sum(complex(math.cos(t * v), math.sin(t * v)) for v in x) / len(x)
    return abs(empirical - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2)


def slow_epps_pulley(x):
    """One direction: the trapezoidal rule with 17 knots on [0, 3], doubled, times N."""
    values = [integrand(x, 3 * i / 16) for i in range(17)]
    area = sum((values[i] + values[i + 1]) / 2 * 3 / 16 for i in range(16))
    return 2 * area * len(x)


def slow_sigreg(z, a):
    """Mean over views and directions, the images of a view being one sample."""
    total = 0.0
    for view in z.tolist():
        for direction in a.T.tolist():
            x = [sum(p * q for p, q in zip(row, direction, strict=True)) for row in view]
            total += slow_epps_pulley(x)
    return total / (len(z) * a.shape[1])


def slow_prediction(z, large):
    """Eq. 7 with loops, and 1/D as in the authors' code."""
    v, n, d = z.shape
    total = 0.0
    for i in range(n):
        for k in range(d):
            mean = sum(float(z[g, i, k]) for g in range(large)) / large
            total += sum((mean - float(z[w, i, k])) ** 2 for w in range(v))
    return total / (v * n * d)


def test_statistic_agrees_with_the_authors_code(z):
    expected = [slow_epps_pulley(column) for column in z[0].T.tolist()]
    np.testing.assert_allclose(epps_pulley(z[0]), expected, rtol=0, atol=1e-9)


def test_statistic_is_near_the_integral(z):
    x = z[0, :, 0].tolist()
    expected = len(x) * quad(lambda t: integrand(x, t), -5, 5)[0]
    assert epps_pulley(z[0, :, :1]).item() == pytest.approx(expected, rel=0.01)


def test_statistic_of_one_constant_sample():
    # all at 0: N int (1 - exp(-t^2 / 2))^2 exp(-t^2 / 2) dt, of three Gaussians
    expected = 4 * math.sqrt(2 * math.pi) * (1 - math.sqrt(2) + 1 / math.sqrt(3))
    found = epps_pulley(torch.zeros(4, 1)).item()  # what is beyond t = 3 is left out
    assert found == pytest.approx(expected, rel=0.02)


def test_statistic_is_least_for_the_standard_normal_distribution():
    even = (torch.arange(500, dtype=torch.float64) + 0.5) / 500
    gauss = math.sqrt(2) * torch.erfinv(2 * even - 1)[:, None]
    others = [0 * gauss, 0.5 * gauss, 2 * gauss, gauss + 1, math.sqrt(12) * (even[:, None] - 0.5)]
    assert epps_pulley(gauss).item() < 1e-3
    assert all(epps_pulley(x).item() > 0.1 for x in others)


def test_statistic_grows_with_the_number_of_samples(z):
    twice = torch.cat([z[0], z[0]])
    torch.testing.assert_close(epps_pulley(twice), 2 * epps_pulley(z[0]))


def test_directions_have_unit_length_and_are_uniform_on_the_sphere():
    a = directions(torch.rand(2, 3, 4000, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(a.norm(dim=0), torch.ones(4000))
    # in three dimensions each coordinate is uniform in [-1, 1]
    assert stats.kstest(a[0].numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.01


def test_directions_are_finite_for_the_smallest_and_largest_numbers():
    edges = torch.tensor([0.0, 1 - 2**-24]).repeat(2, 3, 1)
    assert directions(edges).isfinite().all()


def test_sigreg_agrees_with_its_definition(z, a):
    assert sigreg(z, a).item() == pytest.approx(slow_sigreg(z, a), abs=1e-9)


def test_sigreg_takes_each_view_as_a_sample_of_its_own(z, a):
    expected = sum(sigreg(view[None], a) for view in z) / 4
    torch.testing.assert_close(sigreg(z, a), expected)
    assert not torch.isclose(sigreg(z, a), sigreg(z.flatten(0, 1)[None], a))


@pytest.mark.parametrize("large", [1, 2, 4])
def test_prediction_agrees_with_equation_7(z, large):
    assert prediction(z, large).item() == pytest.approx(slow_prediction(z, large), abs=1e-9)


def test_prediction_of_two_views_a_distance_apart():
    z = torch.tensor([[[0.0, 0.0]], [[2.0, 0.0]], [[1.0, 4.0]]])
    # from the mean (1, 0) of the large ones: 1, 1 and 16, over three views and two dimensions
    assert prediction(z, 2).item() == pytest.approx(18 / 6)


def test_small_views_move_no_target(z):
    other = z.clone()
    other[3] += 5
    moved = prediction(other, 2) - prediction(z, 2)
    mean = z[:2].mean(dim=0)
    expected = ((other[3] - mean) ** 2 - (z[3] - mean) ** 2).mean() / 4
    torch.testing.assert_close(moved, expected)


def test_terms_do_not_depend_on_the_order_of_images(z, a):
    order = torch.tensor([6, 3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(sigreg(z[:, order], a), sigreg(z, a))
    torch.testing.assert_close(prediction(z[:, order], 2), prediction(z, 2))
    torch.testing.assert_close(prediction(z[[1, 0, 3, 2]], 2), prediction(z, 2))


def test_gradients_are_those_of_the_terms(z, a):
    z.requires_grad_()
    assert gradcheck(lambda z: sigreg(z, a), (z,))
    assert gradcheck(lambda z: prediction(z, 2), (z,))


def test_asks_for_two_large_and_several_small_views():
    views = LeJEPA.views(LeJEPAConfig(local_crops=3), 112)
    assert [view.size for view in views] == [112, 112, 48, 48, 48]


def test_loss_weighs_the_two_terms(batch):
    objective = make(sigreg=0.2).double()
    batch.views = tuple(view.double() for view in batch.views)
    large, small = torch.cat(batch.views[:2]), torch.cat(batch.views[2:])
    z = objective.project(torch.cat([objective.encoder(large), objective.encoder(small)]))
    z = z.detach().view(4, 8, 8)
    torch.manual_seed(5)
    found = objective(batch).loss.item()
    torch.manual_seed(5)
    a = directions(torch.rand(2, 8, 16, dtype=torch.float64))
    expected = 0.8 * slow_prediction(z, 2) + 0.2 * slow_sigreg(z, a)
    assert found == pytest.approx(expected, rel=1e-9)


def test_directions_are_new_at_each_step(batch):
    objective = make().eval()
    first, second = objective(batch).metrics, objective(batch).metrics
    assert first["sigreg"] != second["sigreg"]
    assert first["prediction"] == second["prediction"]
