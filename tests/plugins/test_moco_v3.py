"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/moco-v3/blob/main/moco/builder.py (`MoCo.contrastive_loss`)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import cosine_momentum
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.moco_v3 import MoCoV3, MoCoV3Config, contrast, similarities


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return MoCoV3(create_encoder("test_resnet", 3, 32), MoCoV3Config(hidden=32, out=16))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def loss_of(q, k, temperature):
    return contrast(similarities(q, k), temperature)


def slow_contrast(q, k, temperature):
    """Eq. 1 with loops, as in algorithm 1: negatives are the batch's other keys, times 2 tau."""
    q, k = ([row / np.linalg.norm(row) for row in x.numpy()] for x in (q, k))
    total = 0.0
    for i in range(len(q)):
        exps = [math.exp(q[i] @ key / temperature) for key in k]
        total -= math.log(exps[i] / sum(exps))
    return 2 * temperature * total / len(q)


def teacher_of(objective):
    return {n: p for n, p in objective.named_parameters() if n.startswith("teacher_")}


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
    k1, k2 = objective.teacher_projector(objective.teacher_encoder(views)).chunk(2)
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


def test_gradient_reaches_the_student_and_not_the_teacher(objective, batch):
    objective(batch).loss.backward()
    teacher = teacher_of(objective)
    assert teacher
    for name, parameter in objective.named_parameters():
        assert (parameter.grad is None) == (name in teacher), name


def test_after_step_moves_the_teacher_with_rising_momentum(objective):
    before = {name: value.clone() for name, value in teacher_of(objective).items()}
    with torch.no_grad():
        for name, parameter in objective.named_parameters():
            parameter += 0 if name.startswith("teacher_") else 1
    objective.after_step(30, 100)
    for name, value in teacher_of(objective).items():
        moved = before[name] + 1 - cosine_momentum(30, 100, 0.99)
        torch.testing.assert_close(value.detach(), moved)


def test_learns_a_small_batch(objective, batch):
    trained = [p for p in objective.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=1e-3), []
    for step in range(1, 7):
        losses.append(objective(batch).loss)
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
        objective.after_step(step, 6)
    assert all(loss.isfinite() for loss in losses)
    assert losses[-1] < losses[0]
