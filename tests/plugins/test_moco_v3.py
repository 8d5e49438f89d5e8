"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/moco-v3/blob/main/moco/builder.py (`MoCo.contrastive_loss`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import cosine_scores
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.moco_v3 import MoCoV3, MoCoV3Config, contrast


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return MoCoV3(create_encoder("test_resnet", 3, 32), MoCoV3Config(hidden_dim=32, out_dim=16))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def loss_of(q, k, temperature):
    return contrast(cosine_scores(q, k), temperature)


def slow_contrast(q, k, temperature):
    """Eq. 1 with loops, as in algorithm 1: negatives are the batch's other keys, times 2 tau."""
    q, k = ([row / np.linalg.norm(row) for row in x.numpy()] for x in (q, k))
    total = 0.0
    for i in range(len(q)):
        exps = [math.exp(q[i] @ key / temperature) for key in k]
        total -= math.log(exps[i] / sum(exps))
    return 2 * temperature * total / len(q)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_loss_agrees_with_equation_1(pair, temperature):
    found = loss_of(*pair, temperature).item()
    assert found == pytest.approx(slow_contrast(*pair, temperature), abs=1e-9)


def test_loss_of_orthogonal_images_with_equal_views():
    expected = -2 * 0.5 * math.log(math.exp(2) / (math.exp(2) + 2))
    z = torch.eye(3, dtype=torch.float64)
    assert loss_of(z, z, 0.5).item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_equal_rows_is_that_of_guessing():
    z = torch.ones(4, 3, dtype=torch.float64)
    assert loss_of(z, z, 0.2).item() == pytest.approx(0.4 * math.log(4), abs=1e-9)


def test_images_may_be_permuted_together_but_not_apart(pair):
    (q, k), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = loss_of(q, k, 0.2)
    torch.testing.assert_close(loss_of(q[order], k[order], 0.2), loss)
    assert not torch.isclose(loss_of(q, k[order], 0.2), loss)


def test_length_does_not_matter(pair):
    q, k = pair
    torch.testing.assert_close(loss_of(3 * q, 0.1 * k, 0.2), loss_of(q, k, 0.2))


def test_gradient_is_that_of_the_loss(pair):
    q, k = (x.requires_grad_() for x in pair)
    assert gradcheck(lambda q, k: loss_of(q, k, 0.2), (q, k))


def test_small_temperatures_stay_finite_in_half_precision():
    z = torch.randn(4, 8).bfloat16()
    assert loss_of(z, z, 0.01).isfinite()


def test_loss_is_that_of_both_directions(objective, batch):
    views = torch.cat(batch.views)
    q1, q2 = objective.predictor(objective.project(objective.encoder(views))).chunk(2)
    k1, k2 = objective.teacher.projector(objective.teacher.encoder(views)).chunk(2)
    expected = loss_of(q1, k2, 0.2) + loss_of(q2, k1, 0.2)
    torch.testing.assert_close(objective(batch).loss, expected)


def test_views_may_be_swapped(objective, batch):
    loss = objective(batch).loss
    batch.views = batch.views[::-1]
    torch.testing.assert_close(objective(batch).loss, loss)


def test_accuracy_is_the_share_of_predictions_nearest_to_their_own_key(objective, batch):
    objective.predictor.forward = lambda z: z  # as the teacher still is the student
    batch.views = (batch.views[0],) * 2
    assert objective(batch).metrics["contrast_accuracy"] == 1
    objective.predictor.forward = lambda z: torch.ones_like(z)
    assert objective(batch).metrics["contrast_accuracy"] <= 1 / 8
