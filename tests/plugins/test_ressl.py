"""The loss agrees with the authors' code, too:
https://github.com/mingkai-zheng/ReSSL (`ressl.py`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.ressl import ReSSL, ReSSLConfig, relation_loss, relations


@pytest.fixture
def rows():
    torch.manual_seed(0)
    return normalize(torch.randn(19, 5, dtype=torch.float64), dim=1).split([6, 6, 7])


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return ReSSL(
        create_encoder("test_resnet", 3, 32), ReSSLConfig(hidden_dim=32, out_dim=16, queue_size=20)
    )


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def loss_of(z1, z2, queue, tau_s=0.1, tau_t=0.04):
    return relation_loss(relations(z1, queue, tau_s), relations(z2, queue, tau_t))


def slow_relation(z, queue, temperature):
    """The similarity distribution of one embedding over the queue, with loops."""
    exps = [
        math.exp(sum(x * y for x, y in zip(z, old, strict=True)) / temperature) for old in queue
    ]
    return [value / sum(exps) for value in exps]


def slow_loss(z1, z2, queue, tau_s, tau_t):
    """Cross entropy of the two distributions, with loops."""
    total, queue = 0.0, queue.tolist()
    for student, teacher in zip(z1.tolist(), z2.tolist(), strict=True):
        p1, p2 = slow_relation(student, queue, tau_s), slow_relation(teacher, queue, tau_t)
        total -= sum(b * math.log(a) for a, b in zip(p1, p2, strict=True))
    return total / len(z1)


@pytest.mark.parametrize(("tau_s", "tau_t"), [(0.1, 0.04), (1.0, 0.5)])
def test_loss_agrees_with_the_paper(rows, tau_s, tau_t):
    found = loss_of(*rows, tau_s, tau_t).item()
    assert found == pytest.approx(slow_loss(*rows, tau_s, tau_t), abs=1e-9)


def test_loss_of_a_sharp_teacher_is_that_of_its_nearest():
    student = torch.tensor([[1.0, 1.0, 0.0]]).double()
    teacher = torch.tensor([[900.0, 0.0, 0.0]]).double()
    expected = math.log((2 * math.e + 1) / math.e)
    assert relation_loss(student, teacher).item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_even_relations_is_that_of_guessing(rows):
    even = torch.zeros(2, 7, dtype=torch.float64)
    assert relation_loss(even, relations(rows[0][:2], rows[2], 0.04)).item() == pytest.approx(
        math.log(7), abs=1e-9
    )


def test_loss_is_least_where_the_student_agrees(rows):
    z1, z2, queue = rows
    assert loss_of(z2, z2, queue, 0.1, 0.1) < loss_of(z1, z2, queue, 0.1, 0.1)


def test_images_may_be_permuted_together_but_not_apart(rows):
    (z1, z2, queue), order = rows, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = loss_of(z1, z2, queue)
    torch.testing.assert_close(loss_of(z1[order], z2[order], queue.flip(0)), loss)
    assert not torch.isclose(loss_of(z1, z2[order], queue), loss)


def test_gradient_is_that_of_the_loss(rows):
    z1, z2, queue = rows
    assert gradcheck(lambda z: loss_of(z, z2, queue), (z1.clone().requires_grad_(),))


def test_the_teacher_sees_a_weak_view():
    student, teacher = ReSSL.views(ReSSLConfig(), 64)
    assert (student.policy, teacher.policy) == ("default", "weak")
    assert student.size == teacher.size == 64


def test_embeddings_of_the_teacher_join_the_queue_after_the_loss(objective, batch):
    strong, weak = batch.views
    queue = objective.queue()
    z1 = normalize(objective.projector(objective.encoder(strong)), dim=1)
    z2 = normalize(objective.teacher.projector(objective.teacher.encoder(weak)), dim=1)
    torch.testing.assert_close(objective(batch).loss, loss_of(z1, z2, queue))
    torch.testing.assert_close(objective.queue(), torch.cat([z2, queue[:12]]))


def test_entropy_of_the_teacher_is_in_nats(objective, batch):
    objective.queue.rows.copy_(objective.queue.rows[:1].expand(20, -1).clone())
    assert objective(batch).metrics["teacher_entropy"].item() == pytest.approx(math.log(20))
