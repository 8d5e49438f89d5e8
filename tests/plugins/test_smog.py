import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch
from ssl_kit.nn import cosine_scores
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.smog import (
    SMoG,
    SMoGConfig,
    group_contrast,
    moved_groups,
)


@pytest.fixture
def rows():
    torch.manual_seed(0)
    return torch.randn(6, 5, dtype=torch.float64)


@pytest.fixture
def groups():
    torch.manual_seed(1)
    return normalize(torch.randn(4, 5, dtype=torch.float64), dim=1)


@pytest.fixture
def labels():
    return torch.tensor([0, 3, 1, 1, 1, 3])


def make(**options):
    torch.manual_seed(0)
    small = {"hidden_dim": 32, "out_dim": 16, "num_groups": 4, "cache_size": 12}
    return SMoG(create_encoder("test_resnet", 3, 32), SMoGConfig(**{**small, **options}))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def slow_unit(vector):
    length = math.sqrt(sum(v * v for v in vector))
    return [v / length for v in vector]


def slow_groups(groups, z, labels, beta):
    """Momentum update group by group, with loops."""
    moved = []
    for k, group in enumerate(groups.tolist()):
        members = [
            slow_unit(row) for row, label in zip(z.tolist(), labels.tolist(), strict=True)
            if label == k
        ]  # fmt: skip
        if members:
            mean = [sum(column) / len(members) for column in zip(*members, strict=True)]
            group = [beta * g + (1 - beta) * m for g, m in zip(group, mean, strict=True)]
        moved.append(slow_unit(group))
    return torch.tensor(moved, dtype=torch.float64)


def slow_contrast(scores, labels, temperature):
    """Instances against groups, with loops."""
    total = 0.0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        powers = [math.exp(s / temperature) for s in row]
        total -= math.log(powers[label] / sum(powers))
    return total / len(scores)


@pytest.mark.parametrize("beta", [0.0, 0.9, 1.0])
def test_groups_move_as_the_paper_says(groups, rows, labels, beta):
    found = moved_groups(groups, rows, labels, beta)
    expected = slow_groups(groups, rows, labels, beta)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_group_without_members_stays(groups, rows, labels):
    torch.testing.assert_close(moved_groups(groups, rows, labels, 0.5)[2], groups[2])


def test_a_group_moves_half_way_to_an_orthogonal_member():
    groups, z = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 7.0]])
    found = moved_groups(groups, z, torch.tensor([0]), 0.5)
    torch.testing.assert_close(found, torch.full((1, 2), math.sqrt(0.5)))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_agrees_with_the_paper(groups, rows, labels, temperature):
    scores = cosine_scores(rows, groups)
    found = group_contrast(scores, labels, temperature).item()
    assert found == pytest.approx(slow_contrast(scores, labels, temperature), abs=1e-9)


def test_loss_of_images_at_orthogonal_groups():
    found = group_contrast(torch.eye(3).double(), torch.arange(3), 1.0).item()
    assert found == pytest.approx(-math.log(math.e / (math.e + 2)), abs=1e-9)


def test_loss_of_equal_scores_is_that_of_guessing(labels):
    found = group_contrast(torch.ones(6, 4).double(), labels, 0.1).item()
    assert found == pytest.approx(math.log(4), abs=1e-9)


def test_images_may_be_permuted_together_but_not_apart(groups, rows, labels):
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = moved_groups(groups, rows, labels, 0.5)
    torch.testing.assert_close(moved_groups(groups, rows[order], labels[order], 0.5), moved)
    scores = cosine_scores(rows, groups)
    loss = group_contrast(scores, labels, 0.1)
    torch.testing.assert_close(group_contrast(scores[order], labels[order], 0.1), loss)
    assert not torch.isclose(group_contrast(scores[order], labels, 0.1), loss)


def test_gradient_is_that_of_the_loss_and_reaches_the_groups_members(groups, rows, labels):
    p = torch.randn(6, 5).double().requires_grad_()

    def loss(z, p):
        return group_contrast(cosine_scores(p, moved_groups(groups, z, labels, 0.6)), labels, 0.5)

    z = rows.requires_grad_()
    assert gradcheck(loss, (z, p))
    assert torch.autograd.grad(loss(z, p), z)[0].any()


def test_loss_contrasts_predictions_with_the_groups_of_the_teachers_other_view(batch):
    objective = make(beta=0.9)
    batch.views = batch.views[0], batch.views[0].flip(0)
    views, before = torch.cat(batch.views), objective.groups.clone()
    taught = objective.teacher.projector(objective.teacher.encoder(views))
    labels = cosine_scores(torch.cat([taught[8:], taught[:8]]), before).argmax(dim=1)
    z = objective.project(objective.encoder(views))
    members = cosine_scores(z, before).argmax(dim=1)  # a view moves the group next to itself
    assert not torch.equal(members, labels)
    groups = moved_groups(before, z, members, 0.9)
    expected = group_contrast(cosine_scores(objective.predictor(z), groups), labels, 0.1)
    torch.testing.assert_close(objective(batch).loss, expected)
    torch.testing.assert_close(objective.groups, groups.detach())


def test_views_may_be_swapped(batch):
    objective, swapped = make(), make()
    loss = objective(batch).loss
    batch.views = batch.views[::-1]
    torch.testing.assert_close(swapped(batch).loss, loss)


def test_cache_takes_the_teachers_features(batch):
    objective = make()
    taught = objective.teacher.projector(objective.teacher.encoder(torch.cat(batch.views)))
    objective(batch)
    torch.testing.assert_close(objective.queue()[:8], normalize(taught[:8], dim=1))


def test_groups_are_made_anew_each_time_the_cache_is_full(batch):
    objective, anew = make(cache_size=12), []
    for step in range(1, 7):
        objective(batch)
        before = objective.groups.clone()
        objective.after_step(step, 10)
        anew.append(not torch.equal(objective.groups, before))
    assert anew == [False, True, True, False, True, True]  # 8, 16, 24, 32, 40, 48 of 12 each
    torch.testing.assert_close(objective.groups.norm(dim=1), torch.ones(4))


def test_metrics_say_when_all_images_are_alike(batch):
    batch.views = tuple(torch.ones_like(view) for view in batch.views)
    assert make()(batch).metrics["group_entropy"] == 0
