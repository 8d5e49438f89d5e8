"""The loss restates eq. 3 to 5. In the authors' code (vissl, `NCELossWithMemory`) the sum over the
negatives is a constant measured on the first batch; here it is the paper's."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch, TrainingInfo
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.pirl import PIRL, PIRLConfig, nce


@pytest.fixture
def rows():
    torch.manual_seed(0)
    query, own = normalize(torch.randn(2, 4, 5, dtype=torch.float64), dim=2)
    negatives = normalize(torch.randn(7, 5, dtype=torch.float64), dim=1)
    same = torch.zeros(4, 7, dtype=torch.bool)
    same[1, 2] = same[3, 0] = same[3, 6] = True
    return query, own, negatives, same


@pytest.fixture
def objective():
    torch.manual_seed(0)
    made = PIRL(create_encoder("test_resnet", 3, 32), PIRLConfig(out_dim=8))
    made.prepare(TrainingInfo(12, 4, (0.5,) * 3, (0.25,) * 3))
    return made


@pytest.fixture
def batch():
    torch.manual_seed(1)
    none = torch.zeros(6, dtype=torch.long)
    views = torch.randn(6, 3, 32, 32), torch.randn(6, 3, 63, 63)
    return Batch(views, torch.tensor([7, 0, 3, 11, 5, 2]), none, none[:, None], ())


def slow_nce(query, own, negatives, same, temperature):
    """Eq. 3 and 4 with loops."""
    total = 0.0
    for q, m, skipped in zip(query.tolist(), own.tolist(), same.tolist(), strict=True):
        others = [n for n, skip in zip(negatives.tolist(), skipped, strict=True) if not skip]

        def match(a, b):
            return math.exp(sum(x * y for x, y in zip(a, b, strict=True)) / temperature)

        noise = sum(match(q, n) for n in others)
        total -= math.log(match(q, m) / (match(q, m) + noise))
        for n in others:
            total -= math.log(1 - match(q, n) / (match(q, n) + noise))
    return total / len(query)


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_loss_agrees_with_equation_4(rows, temperature):
    found = nce(*rows, temperature).item()
    assert found == pytest.approx(slow_nce(*rows, temperature), abs=1e-9)


def test_loss_where_all_memories_are_alike():
    one = torch.ones(2, 1, dtype=torch.float64)
    same = torch.zeros(2, 3, dtype=torch.bool)
    found = nce(one, one, torch.ones(3, 1, dtype=torch.float64), same, 0.5)
    assert found.item() == pytest.approx(math.log(4) + 3 * math.log(4 / 3), abs=1e-9)


def test_loss_with_a_far_positive_is_larger(rows):
    query, _, negatives, same = rows
    assert nce(query, query, negatives, same, 0.07) < nce(query, -query, negatives, same, 0.07)


def test_a_memory_of_the_same_image_is_no_negative(rows):
    query, own, negatives, same = rows
    kept = ~same[3]
    expected = nce(query[3:], own[3:], negatives[kept], same[3:, kept], 0.07)
    torch.testing.assert_close(nce(query[3:], own[3:], negatives, same[3:], 0.07), expected)


def test_images_may_be_permuted_together_but_not_apart(rows):
    (query, own, negatives, same), order = rows, torch.tensor([2, 3, 0, 1])
    loss = nce(query, own, negatives, same, 0.07)
    torch.testing.assert_close(nce(query[order], own[order], negatives, same[order], 0.07), loss)
    assert not torch.isclose(nce(query, own[order], negatives, same, 0.07), loss)


def test_gradient_is_that_of_the_loss(rows):
    query, own, negatives, same = rows
    assert gradcheck(lambda q: nce(q, own, negatives, same, 0.3), (query.requires_grad_(),))


def test_the_loss_stays_finite_in_half_precision(rows):
    query, own, negatives, same = rows
    assert nce(query.bfloat16(), own.bfloat16(), negatives.bfloat16(), same, 0.01).isfinite()


def test_asks_for_an_image_and_cells_of_85_pixels_for_a_tile_of_64():
    whole, puzzle = PIRL.views(PIRLConfig(), 128)
    assert (whole.size, puzzle.size) == (128, 255)


def test_the_bank_has_a_row_of_unit_length_for_every_image(objective):
    assert objective.bank.shape == (12, 8)
    torch.testing.assert_close(objective.bank.norm(dim=1), torch.ones(12))
    assert "bank" in objective.state_dict()


def test_the_loss_is_the_weighted_sum_of_equation_5(objective, batch):
    weight, losses = 0.25, []
    for share in (0.0, 1.0, weight):
        objective.config = PIRLConfig(out_dim=8, jigsaw_weight=share)
        bank = objective.bank.clone()
        torch.manual_seed(2)
        losses.append(objective(batch).loss)
        objective.bank.copy_(bank)
    torch.testing.assert_close(losses[2], (1 - weight) * losses[0] + weight * losses[1])


def test_memories_of_the_batch_move_halfway_and_no_others(objective, batch):
    before, f = objective.bank.clone(), normalize(torch.randn(6, 8), dim=1)
    objective.remember(batch.indices, f)
    for i in range(12):
        expected = before[i]
        if i in batch.indices.tolist():
            expected = 0.5 * before[i] + 0.5 * f[batch.indices.tolist().index(i)]
            expected = expected / expected.norm()
        torch.testing.assert_close(objective.bank[i], expected)


def test_the_memory_is_that_of_the_whole_image(objective, batch):
    objective.eval()
    before = objective.bank[batch.indices]
    f = objective.project(objective.encoder(batch.views[0]))
    objective(batch)
    expected = normalize(before + f, dim=1)
    torch.testing.assert_close(objective.bank[batch.indices], expected)


def test_tiles_come_in_any_order(objective, batch):
    objective.eval()
    torch.manual_seed(0)
    first = objective.shuffled(batch.views[1])
    second = objective.shuffled(batch.views[1])
    torch.testing.assert_close(first.norm(dim=1), torch.ones(6))
    assert not torch.allclose(first, second)


def test_accuracy_is_the_share_of_images_nearest_to_their_own_memory(objective, batch):
    objective.shuffled = lambda x: objective.bank[batch.indices]
    assert objective(batch).metrics["pirl_accuracy"] == 1
    objective.shuffled = lambda x: -objective.bank[batch.indices]
    assert objective(batch).metrics["pirl_accuracy"] == 0
