"""Each measure against a slow restatement of its definition, written with loops."""

import itertools
import math

import numpy as np
import pytest
import torch

from ssl_kit.training import representation as measures


@pytest.fixture(scope="module")
def grouped():
    """(12, 3, 9): images of a decaying spectrum and an offset, with a little view noise."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(12, 1, 9)) / np.arange(1, 10) + 0.3
    return images + 0.1 * rng.normal(size=(12, 3, 9))


@pytest.fixture(scope="module")
def rows(grouped):
    return grouped.reshape(-1, 9)


def close(value):
    return pytest.approx(value, abs=1e-9, rel=1e-9)


def length(row):
    return math.sqrt(sum(v * v for v in row))


def unit(rows):
    return [[v / length(row) for v in row] for row in rows]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def squared_distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def effective_rank(weights):
    shares = [w / sum(weights) + 1e-7 for w in weights]
    return math.exp(-sum(p * math.log(p) for p in shares))


def slow_feature_std(rows):
    spreads = []
    for column in zip(*unit(rows), strict=True):
        mean = sum(column) / len(column)
        spreads.append(math.sqrt(sum((v - mean) ** 2 for v in column) / len(column)))
    return sum(spreads) / len(spreads) * math.sqrt(len(spreads))


def slow_mean_cosine(rows):
    z, n = unit(rows), len(rows)
    cosines = [dot(z[i], z[j]) for i in range(n) for j in range(n) if i != j]
    return sum(cosines) / len(cosines)


def slow_uniformity(rows):
    z, n = unit(rows), len(rows)
    terms = [math.exp(-2 * squared_distance(z[i], z[j])) for i in range(n) for j in range(i)]
    return math.log(sum(terms) / len(terms))


def slow_rankme(rows, centered=False):
    z = np.array(rows) - (np.mean(rows, axis=0) if centered else 0)
    return effective_rank(np.sqrt(np.linalg.eigvalsh(z.T @ z).clip(0)))


def slow_alpha_req(rows, first, last):
    n, d = rows.shape
    mean, covariance = rows.mean(axis=0), np.zeros((d, d))
    for row in rows:
        covariance += np.outer(row - mean, row - mean) / n
    values = sorted(np.linalg.eigvalsh(covariance), reverse=True)
    i = np.arange(first, last + 1)
    x, y = np.log(i), np.log([values[k - 1] for k in i])
    slope, start = np.polyfit(x, y, 1, w=1 / np.sqrt(i))  # polyfit squares its weights
    spread = np.sum((y - np.average(y, weights=1 / i)) ** 2 / i)
    return -slope, 1 - np.sum((y - slope * x - start) ** 2 / i) / spread


def slow_lidar(z, delta=1e-4):
    n, q, d = z.shape
    means = [z[i].mean(axis=0) for i in range(n)]
    center = sum(means) / n
    between, within = np.zeros((d, d)), delta * np.eye(d)
    for i in range(n):
        between += np.outer(means[i] - center, means[i] - center) / (n - 1)
        for view in z[i]:
            within += np.outer(view - means[i], view - means[i]) / (n * (q - 1))
    # eigenvalues of within^-1/2 between within^-1/2 are those of within^-1 between
    values = np.linalg.eigvals(np.linalg.solve(within, between)).real
    return effective_rank(values.clip(0))


def slow_alignment(z):
    pairs = [unit(views[:2]) for views in z]
    return sum(squared_distance(a, b) for a, b in pairs) / len(pairs)


def slow_view_retrieval(z):
    first, second = unit(z[:, 0]), unit(z[:, 1])
    found = 0
    for i, row in enumerate(first):
        cosines = [dot(row, other) for other in second]
        found += cosines.index(max(cosines)) == i
    return found / len(z)


@pytest.mark.parametrize("name", ["feature_std", "mean_cosine", "uniformity", "rankme"])
def test_measure_of_rows_agrees_with_its_definition(rows, name):
    measure = getattr(measures, name)
    assert measure(torch.from_numpy(rows)) == close(globals()[f"slow_{name}"](rows))


@pytest.mark.parametrize("name", ["lidar", "alignment", "view_retrieval"])
def test_measure_of_grouped_views_agrees_with_its_definition(grouped, name):
    measure = getattr(measures, name)
    assert measure(torch.from_numpy(grouped)) == close(globals()[f"slow_{name}"](grouped))


def test_centered_rankme_agrees_with_its_definition(rows):
    found = measures.rankme(torch.from_numpy(rows), centered=True)
    assert found == close(slow_rankme(rows, centered=True))


@pytest.mark.parametrize(("d", "first", "last"), [(30, 3, 10), (310, 10, 100)])
def test_alpha_req_agrees_with_its_definition(d, first, last):
    rows = np.random.default_rng(0).normal(size=(400, d)) * np.arange(1, d + 1) ** -0.7 + 1
    found = measures.alpha_req(torch.from_numpy(rows))
    assert found == pytest.approx(slow_alpha_req(rows, first, last), abs=1e-9)


def test_alpha_req_of_an_exact_power_law():
    z = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 61)))[0]
    z = np.linalg.qr(z - z.mean(axis=0))[0][:, :60] * np.arange(1, 61) ** -0.5
    z -= z.mean(axis=0)
    alpha, fit = measures.alpha_req(torch.from_numpy(z))
    assert alpha == pytest.approx(1.0, abs=1e-6)
    assert fit == pytest.approx(1.0, abs=1e-6)


def test_alpha_req_is_nothing_where_the_rank_is_too_low():
    assert measures.alpha_req(torch.ones(20, 30, dtype=torch.float64)) == (0.0, 0.0)


def test_identity_matrix_has_full_rank_and_orthogonal_rows():
    eye = torch.eye(8, dtype=torch.float64)
    assert measures.rankme(eye) == pytest.approx(8, abs=1e-4)
    assert measures.rankme(eye, centered=True) == pytest.approx(7, abs=1e-4)
    assert measures.mean_cosine(eye) == close(0)
    assert measures.feature_std(eye) == close(math.sqrt(7 / 8))
    assert measures.uniformity(eye) == close(-4)


def test_constant_features_are_at_the_end_of_every_scale():
    z = torch.ones(6, 2, 4, dtype=torch.float64) * 3
    found = measures.representation_metrics(z)
    assert found["feature_std"] == close(0)
    assert found["mean_cosine"] == close(1)
    assert found["rankme"] == pytest.approx(1, abs=1e-4)
    assert found["alignment"] == found["uniformity"] == close(0)


def test_features_that_are_all_zero_give_finite_measures():
    assert all(
        math.isfinite(v) for v in measures.representation_metrics(torch.zeros(6, 2, 4)).values()
    )


def test_rank_one_features_have_rank_one():
    z = torch.outer(torch.arange(1.0, 9), torch.arange(1.0, 5)).double()
    assert measures.rankme(z) == pytest.approx(1, abs=1e-4)
    assert measures.rankme(z, centered=True) == pytest.approx(1, abs=1e-4)
    assert measures.mean_cosine(z) == close(1)


def test_a_large_mean_hides_the_rank_from_the_uncentered_rankme_only(rows):
    z = torch.from_numpy(rows)
    assert measures.rankme(z + 100) < 2 < measures.rankme(z + 100, centered=True)
    assert measures.rankme(z + 100, centered=True) == pytest.approx(
        measures.rankme(z, centered=True)
    )


def test_opposite_views_are_as_far_apart_as_can_be():
    z = torch.randn(5, 1, 3, dtype=torch.float64)
    assert measures.alignment(torch.cat([z, -z], dim=1)) == close(4)
    assert measures.alignment(torch.cat([z, 2 * z], dim=1)) == close(0)


def test_view_retrieval_finds_equal_views_and_not_shifted_ones():
    z = torch.eye(5, dtype=torch.float64)
    assert measures.view_retrieval(torch.stack([z, z], dim=1)) == 1
    assert measures.view_retrieval(torch.stack([z, z.roll(1, dims=0)], dim=1)) == 0


def test_lidar_counts_the_dimensions_that_tell_images_apart():
    rng = np.random.default_rng(0)
    images = np.zeros((400, 1, 16))
    images[:, 0, :4] = rng.normal(size=(400, 4))
    views = torch.from_numpy(images + 0.01 * rng.normal(size=(400, 5, 16)))
    assert measures.lidar(views) == pytest.approx(4, abs=0.2)


def test_lidar_has_no_freedom_left_where_there_are_more_features():
    z = torch.randn(5, 3, 20, dtype=torch.float64)
    assert measures.lidar_freedom(z) == 5 * 2 / 20
    within = (z - z.mean(dim=1, keepdim=True)).flatten(0, 1)
    assert torch.linalg.matrix_rank(within) == 5 * 2


def test_lidar_of_features_that_diverge_is_finite():
    z = 1e9 * torch.randn(20, 2, 300, dtype=torch.float64, generator=torch.manual_seed(0))
    assert 1 <= measures.lidar(z) <= 20


def test_lidar_needs_the_views_of_an_image_together():
    rng = np.random.default_rng(0)
    images = np.zeros((400, 1, 64))
    images[:, 0, :4] = 3 * rng.normal(size=(400, 4))
    z = torch.from_numpy(images + rng.normal(size=(400, 10, 64)))
    shuffled = z.flatten(0, 1)[torch.from_numpy(rng.permutation(4000))].view_as(z)
    assert measures.lidar(z) < 20
    assert measures.lidar(shuffled) > 50


@pytest.mark.parametrize("name", ["rankme", "feature_std", "mean_cosine", "uniformity"])
def test_measure_ignores_the_order_of_rows_and_rotations(rows, name):
    z, measure = torch.from_numpy(rows), getattr(measures, name)
    assert measure(z.flip(0)) == close(measure(z))
    if name != "feature_std":  # a mean over axes: it depends on them
        turn = torch.linalg.qr(torch.randn(9, 9, dtype=torch.float64))[0]
        assert measure(z @ turn) == close(measure(z))


def test_measure_computes_in_float64_whatever_it_is_given(grouped):
    z = torch.from_numpy(grouped).float()
    assert measures.representation_metrics(z) == measures.representation_metrics(z.double())


def test_cka_is_one_after_a_rotation_and_about_zero_for_other_features():
    x = torch.randn(60, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(200, 200, dtype=torch.float64)).Q
    y = torch.randn(60, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert measures.linear_cka(x, 3 * x @ rotation) == pytest.approx(1)
    assert abs(measures.linear_cka(x, y)) < 0.1


def test_cka_agrees_with_sums_over_different_images():
    x, y = torch.randn(2, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def hsic(k, m):
        n, pairs = len(k), list(itertools.permutations(range(len(k)), 2))
        same = sum(k[i, j] * m[i, j] for i, j in pairs) / (n * (n - 1))
        three = [k[i, j] * m[i, q] for i, j, q in itertools.permutations(range(n), 3)]
        four = [k[i, j] * m[q, r] for i, j, q, r in itertools.permutations(range(n), 4)]
        return float(same - 2 * sum(three) / len(three) + sum(four) / len(four))

    k, m = (x @ x.T).numpy(), (y @ y.T).numpy()
    expected = hsic(k, m) / (hsic(k, k) * hsic(m, m)) ** 0.5
    assert measures.linear_cka(x, y) == pytest.approx(expected)
