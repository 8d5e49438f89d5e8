"""Codes and loss agree with the authors' code, too:
https://github.com/facebookresearch/swav/blob/main/main_swav.py (`distributed_sinkhorn`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize, one_hot

from ssl_kit import Batch
from ssl_kit.nn import cosine_scores, cross_view_cross_entropy, sinkhorn
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.swav import SwAV, SwAVConfig


@pytest.fixture
def scores():
    """Cosines of 4 views of 6 images and 5 prototypes."""
    torch.manual_seed(0)
    return cosine_scores(torch.randn(4, 6, 3).double(), torch.randn(5, 3).double())


@pytest.fixture
def codes(scores):
    return sinkhorn(scores[:2], 0.1)


def make(**options):
    torch.manual_seed(0)
    small = {
        "hidden_dim": 32,
        "out_dim": 16,
        "num_prototypes": 6,
        "queue_size": 12,
        "freeze_prototypes": 0,
        "local_crops": 2,
    }
    return SwAV(create_encoder("test_resnet", 3, 32), SwAVConfig(**{**small, **options}))


def make_batch(images=8):
    torch.manual_seed(1)
    image = torch.randn(images, 3, 32, 32)
    large = tuple(image + 0.1 * torch.randn_like(image) for _ in range(2))
    none = torch.zeros(images, dtype=torch.long)
    views = (*large, image[..., :16, :16].clone(), image[..., 16:, 16:].clone())
    return Batch(views, none, none, none[:, None], ())


def slow_codes(scores, epsilon, iterations):
    """Eq. 5 by the Sinkhorn-Knopp iterations of the paper's listing: Q is (K, B)."""
    q = np.exp(scores.numpy().T / epsilon)
    k, b = q.shape
    q /= q.sum()
    for _ in range(iterations):
        for i in range(k):
            q[i] *= (1 / k) / q[i].sum()
        for j in range(b):
            q[:, j] *= (1 / b) / q[:, j].sum()
    return (q / q.sum(axis=0)).T


def slow_loss(scores, codes, temperature):
    """Eq. 6 with eq. 2, loop by loop; the mean over the pairs of views."""
    total, pairs = 0.0, 0
    for i in range(len(codes)):
        for v in range(len(scores)):
            if v == i:
                continue
            pairs += 1
            for n in range(scores.shape[1]):
                below = sum(math.exp(s / temperature) for s in scores[v, n].tolist())
                for s, q in zip(scores[v, n].tolist(), codes[i, n].tolist(), strict=True):
                    total -= q * math.log(math.exp(s / temperature) / below) / scores.shape[1]
    return total / pairs


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_codes_agree_with_the_listing(scores, iterations):
    expected = slow_codes(scores[0], 0.05, iterations)
    np.testing.assert_allclose(sinkhorn(scores[0], 0.05, iterations), expected, rtol=0, atol=1e-9)


def test_codes_of_each_view_are_found_apart(scores, codes):
    torch.testing.assert_close(codes[1], sinkhorn(scores[1], 0.1))


def test_codes_are_distributions_that_use_all_prototypes_equally(scores):
    codes = sinkhorn(scores[0], 0.05, 200)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(6).double())
    torch.testing.assert_close(codes.sum(dim=0), torch.full((5,), 6 / 5).double())


def test_codes_of_equal_images_are_uniform():
    codes = sinkhorn(torch.tensor([[0.9, 0.1, -1.0]]).repeat(4, 1), 0.05)
    torch.testing.assert_close(codes, torch.full((4, 3), 1 / 3))


def test_codes_are_finite_for_extreme_scores_in_half_precision():
    codes = sinkhorn(torch.tensor([[1, -1], [1, -1], [1, -1], [-1, 1]]).bfloat16(), 0.001)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(4))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_agrees_with_equation_6(scores, codes, temperature):
    found = cross_view_cross_entropy(scores, codes, temperature).item()
    assert found == pytest.approx(slow_loss(scores, codes, temperature), abs=1e-9)


def test_loss_of_certain_codes_and_equal_scores_is_that_of_guessing():
    codes = one_hot(torch.tensor([[0, 1, 2], [2, 1, 0]]), 5).double()
    found = cross_view_cross_entropy(torch.ones(3, 3, 5).double(), codes, 0.1).item()
    assert found == pytest.approx(math.log(5), abs=1e-9)


def test_no_view_predicts_its_own_code():
    codes = one_hot(torch.tensor([[0], [1]]), 2).double()
    right, wrong = -math.log(math.e / (math.e + 1)), -math.log(1 / (math.e + 1))
    own = codes.clone()  # each view is sure of its own code
    assert cross_view_cross_entropy(own, codes, 1.0).item() == pytest.approx(wrong)
    assert cross_view_cross_entropy(own.flip(0), codes, 1.0).item() == pytest.approx(right)


def test_views_may_be_swapped_and_images_permuted_together(scores, codes):
    loss, order = cross_view_cross_entropy(scores, codes, 0.1), torch.tensor([3, 0, 5, 1, 4, 2])
    swapped = cross_view_cross_entropy(scores[[1, 0, 3, 2]], codes.flip(0), 0.1)
    torch.testing.assert_close(swapped, loss)
    permuted = cross_view_cross_entropy(scores[:, order], sinkhorn(scores[:2, order], 0.1), 0.1)
    torch.testing.assert_close(permuted, loss)
    assert not torch.isclose(cross_view_cross_entropy(scores[:, order], codes, 0.1), loss)


def test_gradient_is_that_of_the_loss(scores, codes):
    scores.requires_grad_()
    assert gradcheck(lambda s: cross_view_cross_entropy(s, codes, 0.1), (scores,))


def test_length_of_prototypes_and_features_does_not_matter():
    z, prototypes = torch.randn(2, 4, 3), torch.randn(5, 3)
    torch.testing.assert_close(cosine_scores(3 * z, 0.1 * prototypes), cosine_scores(z, prototypes))


def test_asks_for_two_large_and_several_small_views():
    views = SwAV.views(SwAVConfig(local_crops=3), 112)
    assert [view.size for view in views] == [112, 112, 48, 48, 48]


def test_codes_use_the_queue_once_it_is_full():
    objective, batch = make(queue_size=12), make_batch()
    scores = cosine_scores(torch.randn(2, 8, 16), objective.prototypes.detach())
    alone = sinkhorn(scores, objective.config.epsilon)
    objective(batch)
    torch.testing.assert_close(objective.codes(scores), alone)  # 8 of 12 rows
    objective(batch)
    past = objective.queue().view(12, 2, 16)[:, 0]
    both = torch.cat([scores[0], cosine_scores(past, objective.prototypes.detach())])
    expected = sinkhorn(both, objective.config.epsilon)[:8]
    torch.testing.assert_close(objective.codes(scores)[0], expected)


def test_queue_takes_the_projections_of_both_large_views():
    objective, batch = make(), make_batch()
    large, small = torch.cat(batch.views[:2]), torch.cat(batch.views[2:])
    z = objective.project(torch.cat([objective.encoder(large), objective.encoder(small)]))
    objective(batch)
    expected = torch.cat([normalize(z[:8], dim=1), normalize(z[8:16], dim=1)], dim=1)
    torch.testing.assert_close(objective.queue()[:8], expected.detach())


def test_a_queue_of_no_rows_is_none():
    assert make(queue_size=0)(make_batch()).loss.isfinite()


def test_prototypes_stay_until_they_are_free():
    objective, batch = make(freeze_prototypes=0.5), make_batch()
    objective(batch).loss.backward()
    assert not objective.prototypes.grad.any()
    assert objective.projector[0].weight.grad.any()
    objective.after_step(5, 10)
    objective(batch).loss.backward()
    assert objective.prototypes.grad.any()


def test_metrics_say_when_all_images_are_alike():
    batch = make_batch()
    batch.views = tuple(torch.ones_like(view) for view in batch.views)
    metrics = make().eval()(batch).metrics
    assert metrics["code_entropy"].item() == pytest.approx(math.log(6), abs=1e-3)
    assert metrics["prototypes_in_use"].item() == pytest.approx(1 / 6)
