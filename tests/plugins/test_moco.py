"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/moco/blob/main/moco/builder.py (`MoCo.forward`)."""

import math
import sys

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.moco import MoCo, MoCoConfig, info_nce


@pytest.fixture
def rows():
    torch.manual_seed(0)
    return normalize(torch.randn(19, 5, dtype=torch.float64), dim=1).split([6, 6, 7])


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return MoCo(
        create_encoder("test_resnet", 3, 32), MoCoConfig(hidden_dim=32, out_dim=16, queue_size=20)
    )


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def slow_info_nce(q, k, queue, temperature):
    """Eq. 1 with loops: the sum is over one positive and all keys of the queue."""

    def exp(a, b):
        return math.exp(sum(x * y for x, y in zip(a, b, strict=True)) / temperature)

    total = 0.0
    for query, key in zip(q.tolist(), k.tolist(), strict=True):
        positive = exp(query, key)
        total -= math.log(positive / (positive + sum(exp(query, old) for old in queue.tolist())))
    return total / len(q)


def test_accuracy_is_the_share_of_queries_that_are_nearest_to_their_key():
    q, queue = torch.eye(4), torch.tensor([[0.9, 0.0, 0.0, 0.1], [0.0, 0.0, 0.0, -1.0]])
    k = torch.stack([q[0], q[1], q[2], -q[3]])  # the last is nearer to a key of the queue
    assert info_nce(q, k, queue, 0.2)[1].item() == 0.75


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_loss_agrees_with_equation_1(rows, temperature):
    found = info_nce(*rows, temperature)[0].item()
    assert found == pytest.approx(slow_info_nce(*rows, temperature), abs=1e-9)


def test_loss_of_equal_views_with_an_orthogonal_queue():
    q, queue = torch.tensor([[1.0, 0.0, 0.0]]).double(), torch.eye(3, dtype=torch.float64)[1:]
    assert info_nce(q, q, queue, 1.0)[0].item() == pytest.approx(math.log((math.e + 2) / math.e))


def test_loss_of_equal_rows_is_that_of_guessing():
    z = normalize(torch.ones(9, 3, dtype=torch.float64), dim=1)
    assert info_nce(z[:2], z[:2], z[2:], 0.2)[0].item() == pytest.approx(math.log(8), abs=1e-9)


def test_images_may_be_permuted_together_but_not_apart(rows):
    (q, k, queue), order = rows, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = info_nce(q, k, queue, 0.2)[0]
    torch.testing.assert_close(info_nce(q[order], k[order], queue.flip(0), 0.2)[0], loss)
    assert not torch.isclose(info_nce(q, k[order], queue, 0.2)[0], loss)


def test_gradient_is_that_of_the_loss(rows):
    q, k, queue = rows
    assert gradcheck(lambda q: info_nce(q, k, queue, 0.2)[0], (q.clone().requires_grad_(),))


def test_keys_come_from_the_teacher_and_their_negatives_from_the_queue(objective, batch):
    query, key = batch.views
    queue = objective.queue().clone()
    q = normalize(objective.projector(objective.encoder(query)), dim=1)
    k = normalize(objective.teacher.projector(objective.teacher.encoder(key)), dim=1)
    torch.testing.assert_close(objective(batch).loss, info_nce(q, k, queue, 0.2)[0])


def test_a_batch_is_not_told_by_its_statistics(objective, batch, monkeypatch):
    """Queries and keys are normalized in different random groups (shuffling BN)."""
    seen = []
    moco = sys.modules[MoCo.__module__]
    monkeypatch.setattr(moco, "random_groups", lambda x, size: seen.append((x, size)) or halves())

    def halves():
        return torch.tensor([[1, 0], [0, 1]]).repeat(4, 1) if len(seen) > 1 else first

    first = torch.tensor([[1, 0]] * 4 + [[0, 1]] * 4)
    loss = objective(batch).loss
    query, key = batch.views
    assert [(view is x, size) for view, (x, size) in zip((query, key), seen, strict=True)] == [
        (True, 32), (True, 32)
    ]  # fmt: skip
    q = torch.cat([objective.projector(objective.encoder(part)) for part in query.split(4)])
    k = torch.empty_like(q)
    for i in (0, 1):
        k[i::2] = objective.teacher(key[i::2])
    torch.testing.assert_close(objective.queue()[:8], normalize(k, dim=1))
    torch.manual_seed(0)
    queue = MoCo(create_encoder("test_resnet", 3, 32), objective.config).queue()
    wanted, _ = info_nce(*(normalize(z, dim=1) for z in (q, k)), queue, 0.2)
    torch.testing.assert_close(loss, wanted)


def test_keys_join_the_queue_after_the_loss_newest_first(objective, batch):
    before = objective.queue()
    k = normalize(objective.teacher.projector(objective.teacher.encoder(batch.views[1])), dim=1)
    objective(batch)
    torch.testing.assert_close(objective.queue(), torch.cat([k, before[:12]]))
    assert int(objective.queue.pushed) == 8
