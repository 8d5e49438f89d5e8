"""The loss agrees with the authors' code, too: https://github.com/facebookresearch/VICRegL
(`main_vicregl.py`: `_vicreg_loss`, `_local_loss`, `neirest_neighbores`), but for
`--l2_all_matches`, which keeps all pairs that look alike; the paper keeps gamma of them."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import distances, nearest_pairs, position_centers
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.vicregl import (
    VICRegL,
    VICRegLConfig,
    criterion,
)

SIZE = 96  # test_resnet makes 3 x 3 cells of it


def slow_criterion(x, y):
    """Eq. 1 for the n-th vectors of all images, the mean over n, with loops."""
    b, n, d = x.shape
    found = np.zeros(3)
    for k in range(n):
        found[0] += sum((x[i, k, j] - y[i, k, j]) ** 2 for i in range(b) for j in range(d)) / b / d
        for z in (x[:, k], y[:, k]):
            mean = [sum(z[i, j] for i in range(b)) / b for j in range(d)]
            for j in range(d):
                for m in range(d):
                    pairs = ((z[i, j] - mean[j]) * (z[i, m] - mean[m]) for i in range(b))
                    cov = sum(pairs) / (b - 1)
                    if j == m:
                        found[1] += max(0.0, 1 - math.sqrt(cov + 1e-4)) / d / 2
                    else:
                        found[2] += cov**2 / d / 2
    return found / n


def slow_match(x, y, places_x, places_y, kept):
    """Eq. 2 or 3: nearest neighbors of each image, the `kept` nearest pairs, with loops."""
    left, right = [], []
    for b in range(len(x)):
        pairs = []
        for i, p in enumerate(places_x[b]):
            gaps = [math.dist(p, q) for q in places_y[b]]
            pairs.append((min(gaps), i, gaps.index(min(gaps))))
        chosen = sorted((i, j) for _, i, j in sorted(pairs)[:kept])
        left.append([x[b, i] for i, _ in chosen])
        right.append([y[b, j] for _, j in chosen])
    return np.array(left), np.array(right)


def slow_local(m1, m2, p1, p2, kept):
    """L_s + L_d: by place and by look, both directions averaged."""
    total = np.zeros(3)
    for a, b in ((p1, p2), (m1, m2)):
        total += slow_criterion(*slow_match(m1, m2, a, b, kept)) / 2
        total += slow_criterion(*slow_match(m2, m1, b, a, kept)) / 2
    return total


def make(**options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, SIZE)
    small = {"hidden_dim": 16, "out_dim": 8, "local_dim": 6, **options}
    return VICRegL(encoder, VICRegLConfig(**small)).double()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(5, 3, SIZE, SIZE, dtype=torch.float64)
    none = torch.zeros(5, dtype=torch.long)
    views = image, image + 0.1 * torch.randn_like(image)
    frames = tuple(0.01 * torch.randn(2, 5, 2, 3, dtype=torch.float64))
    return Batch(views, none, none, none[:, None], (), frames)


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.randn(2, 4, 6, 3, dtype=torch.float64).unbind()


def test_criterion_agrees_with_equation_1(maps):
    x, y = (z * torch.tensor([0.1, 0.8, 2.0]) for z in maps)
    np.testing.assert_allclose(criterion(x, y), slow_criterion(x.numpy(), y.numpy()), atol=1e-9)


def test_statistics_are_over_images_and_not_over_places(maps):
    x = maps[0][:1].expand(4, -1, -1)  # images do not differ, places do
    assert criterion(x, x)[1].item() == pytest.approx(1 - 0.01, abs=1e-9)


@pytest.mark.parametrize("kept", [1, 3, 6])
def test_matches_are_the_nearest_pairs(maps, kept):
    found = nearest_pairs(*maps, distances(*maps), kept)
    expected = slow_match(*(m.numpy() for m in maps), *(m.tolist() for m in maps), kept)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_distances_are_euclidean(maps):
    d = distances(*maps)
    assert d[1, 2, 3].item() == pytest.approx(math.dist(maps[0][1, 2], maps[1][1, 3]), abs=1e-12)


def test_the_center_of_cells_lies_in_the_image_where_the_view_does():
    left_half = torch.tensor([[[0.5 / 32, 0, 0], [0, 1 / 32, 0]]])
    found = position_centers(left_half, (2, 2), (32, 32))
    assert found.tolist() == [[[0.125, 0.25], [0.375, 0.25], [0.125, 0.75], [0.375, 0.75]]]


def test_a_mirrored_view_has_its_cells_mirrored():
    plain = torch.tensor([[[1 / 32, 0, 0], [0, 1 / 32, 0]]])
    mirrored = torch.tensor([[[-1 / 32, 0, 1], [0, 1 / 32, 0]]])
    p, m = (position_centers(frame, (2, 3), (32, 32)) for frame in (plain, mirrored))
    nearest = distances(p, m).argmin(dim=2)
    assert nearest.tolist() == [[2, 1, 0, 5, 4, 3]]


def test_places_are_exact_under_mixed_precision():
    frame = torch.tensor([[[0.00123, 0, 0.3217], [0, 0.0031, 0.1001]]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = position_centers(frame, (7, 7), (224, 224))
    assert torch.equal(found, position_centers(frame, (7, 7), (224, 224)))


@pytest.mark.parametrize("kept", [1 / 9, 20 / 49, 1.0])
def test_loss_agrees_with_equation_4(batch, kept):
    objective = make(kept=kept, alpha=0.7, invariance=3.0, variance=5.0, covariance=7.0)
    pooled, levels = objective.encoder.forward_features(torch.cat(batch.views))
    z1, z2 = objective.project(pooled)[:, None].detach().numpy().reshape(2, 5, 1, -1)
    cells = levels[-1].flatten(2).mT.flatten(0, 1)
    m1, m2 = objective.local_projector(cells).detach().numpy().reshape(2, 5, 9, -1)
    points = [[(x + 0.5) * 32, (y + 0.5) * 32, 1] for y in range(3) for x in range(3)]
    p1, p2 = (np.einsum("bij,nj->bni", f.numpy(), np.array(points)) for f in batch.frames)
    local = slow_local(m1, m2, p1, p2, round(kept * 9))
    terms = 0.7 * slow_criterion(z1, z2) + 0.3 * local
    assert objective(batch).loss.item() == pytest.approx(terms @ [3, 5, 7], rel=1e-9)


def test_as_many_matches_are_kept_as_in_the_paper():
    kept = VICRegLConfig().kept
    assert [round(kept * cells) for cells in (49, 9)] == [20, 4]


def test_views_may_be_swapped(batch):
    loss = make()(batch).loss
    batch.views, batch.frames = batch.views[::-1], batch.frames[::-1]
    torch.testing.assert_close(make()(batch).loss, loss)


def test_images_may_be_permuted(batch):
    loss, order = make()(batch).loss, torch.tensor([3, 0, 4, 1, 2])
    batch.views = tuple(view[order] for view in batch.views)
    batch.frames = tuple(frame[order] for frame in batch.frames)
    torch.testing.assert_close(make()(batch).loss, loss)


def test_where_the_views_lie_matters(batch):
    loss = make()(batch).loss
    batch.frames = (batch.frames[0], batch.frames[1].flip(2))
    assert not torch.isclose(make()(batch).loss, loss)


def test_gradient_is_that_of_the_criterion(maps):
    x, y = (z.requires_grad_() for z in maps)
    assert gradcheck(criterion, (x, y))


def test_asks_for_two_located_views():
    first, second = VICRegL.views(VICRegLConfig(), 64)
    assert first == second
    assert first.locate


def test_metrics_are_the_terms(batch):
    objective = make(alpha=0.6, invariance=1.0, variance=0.0, covariance=0.0)
    output = objective(batch)
    found = 0.6 * output.metrics["invariance"] + 0.4 * output.metrics["local_invariance"]
    torch.testing.assert_close(found, output.loss.detach())
