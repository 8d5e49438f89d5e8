"""The loss agrees with the authors' code, too:
https://github.com/WXinlong/DenseCL (`openselfsup/models/densecl.py`, `forward_train`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch
from ssl_kit.nn import most_similar, pooled_positions, take
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.densecl import DenseCL, DenseCLConfig, info_nce


def make(**options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, 64)
    return DenseCL(
        encoder, DenseCLConfig(**{"hidden_dim": 32, "out_dim": 16, "queue_size": 24, **options})
    )


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(6, 3, 64, 64)
    none = torch.zeros(6, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def unit(values):
    length = math.sqrt(sum(v * v for v in values))
    return [v / length for v in values]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_counterparts(f1, f2):
    """Eq. 4 with loops: c_i = argmax_j sim(f_i, f'_j), cosine similarity."""
    found = []
    for one, other in zip(f1.tolist(), f2.tolist(), strict=True):
        rows = []
        for f in one:
            similarity = [dot(unit(f), unit(g)) for g in other]
            rows.append(similarity.index(max(similarity)))
        found.append(rows)
    return found


def slow_dense_loss(r, t, match, queue, tau):
    """Eq. 2 with loops, the mean over images and their S^2 cells."""
    losses = []
    for b in range(len(r)):
        for i, feature in enumerate(r[b].tolist()):
            query, positive = unit(feature), unit(t[b, match[b][i]].tolist())
            above = math.exp(dot(query, positive) / tau)
            below = sum(math.exp(dot(query, row) / tau) for row in queue.tolist())
            losses.append(-math.log(above / (above + below)))
    return sum(losses) / len(losses)


def test_counterparts_agree_with_equation_4():
    torch.manual_seed(0)
    f1, f2 = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    assert most_similar(f1, f2).tolist() == slow_counterparts(f1, f2)


def test_the_counterpart_of_a_moved_cell_is_found_whatever_its_length():
    f, order = torch.randn(2, 6, 8), torch.tensor([3, 0, 5, 1, 4, 2])
    found = most_similar(f, 7 * f[:, order])
    assert torch.equal(order[found], torch.arange(6).expand(2, 6))


def test_pick_takes_the_numbered_cells():
    places = torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]])
    assert take(places, torch.tensor([[2, 2], [0, 1]])).flatten(1).tolist() == [[3, 3], [4, 5]]


def test_cells_are_listed_row_by_row_and_pooled_if_too_many():
    feature_map = torch.arange(16.0).view(1, 1, 4, 4)
    assert pooled_positions(feature_map, 7).flatten().tolist() == list(range(16))
    assert pooled_positions(feature_map, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert pooled_positions(torch.zeros(2, 5, 1, 30), 7).shape == (2, 7, 5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_loss_agrees_with_equations_2_and_3(batch, share):
    objective = make(dense_weight=share).double()
    batch.views = tuple(view.double() for view in batch.views)
    queue, dense_queue = objective.queue(), objective.dense_queue()
    student = objective.encoder, objective.projector
    q, f1, r = objective.embed(batch.views[0], *student)
    k, f2, t = objective.embed(batch.views[1], *student)  # the teacher's equal
    match = slow_counterparts(f1, f2)
    dense = slow_dense_loss(r, t, match, dense_queue, objective.config.temperature)
    whole = slow_dense_loss(
        q[:, None], k[:, None], [[0]] * len(q), queue, objective.config.temperature
    )
    expected = (1 - share) * whole + share * dense
    assert objective(batch).loss.item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_certain_matches():
    q, queue = torch.eye(3, dtype=torch.float64)[:2], torch.eye(3, dtype=torch.float64)[2:]
    assert info_nce(q, q, queue, 1.0)[0].item() == pytest.approx(math.log(1 + 1 / math.e), abs=1e-9)


def test_gradient_is_that_of_the_dense_loss():
    torch.manual_seed(0)
    r, t, queue = (torch.randn(n, 4, dtype=torch.float64) for n in (6, 6, 5))
    assert gradcheck(
        lambda r: info_nce(normalize(r, dim=1), normalize(t, dim=1), queue, 0.5)[0],
        (r.requires_grad_(),),
    )


def test_images_may_be_permuted(batch):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    loss = make()(batch).loss
    batch.views = tuple(view[order] for view in batch.views)
    torch.testing.assert_close(make()(batch).loss, loss)


def test_queues_take_the_teachers_keys(batch):
    objective = make()
    _, _, t = objective.embed(
        batch.views[1], objective.teacher.encoder, objective.teacher.projector
    )
    objective(batch)
    assert (objective.queue.pushed, objective.dense_queue.pushed) == (6, 6)
    torch.testing.assert_close(objective.dense_queue()[:6], normalize(t.mean(dim=1), dim=1))


def test_metrics_are_the_two_losses(batch):
    output = make(dense_weight=0.25)(batch)
    whole, dense = output.metrics["global_loss"], output.metrics["dense_loss"]
    torch.testing.assert_close(output.loss.detach(), 0.75 * whole + 0.25 * dense)
