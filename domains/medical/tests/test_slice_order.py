from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn.weights import create_encoder
from ssl_kit_medical.slice_order import SliceOrder, SliceOrderConfig, later, order_loss

PLACE = torch.tensor([0.0, 2.5, 1.0, 1.0, 7.0])
VOLUME = torch.tensor([[0.0], [0.0], [0.0], [1.0], [1.0]])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def slow_order_loss(scores, place, volume):
    """Eq. 1 with loops, over all ordered pairs of slices of one volume."""
    total, count = 0.0, 0
    for i in range(len(scores)):
        for j in range(len(scores)):
            if volume[i] == volume[j] and place[i] > place[j]:
                h = 1 / (1 + math.exp(-(scores[i] - scores[j])))
                total, count = total - math.log(h), count + 1
    return total / count


def test_loss_agrees_with_equation_1() -> None:
    scores = torch.randn(5, dtype=torch.float64)
    found = order_loss(scores, later(PLACE, VOLUME)).item()
    expected = slow_order_loss(scores.tolist(), PLACE.tolist(), VOLUME[:, 0].tolist())
    assert found == pytest.approx(expected, abs=1e-9)


def test_pairs_are_of_one_volume_and_in_order() -> None:
    assert later(PLACE, VOLUME).nonzero().tolist() == [[1, 0], [1, 2], [2, 0], [4, 3]]


def test_loss_of_guessing_and_of_knowing() -> None:
    pairs = later(PLACE, VOLUME)
    assert order_loss(torch.zeros(5), pairs).item() == pytest.approx(math.log(2))
    assert order_loss(100 * PLACE, pairs).item() == pytest.approx(0, abs=1e-9)
    assert order_loss(torch.tensor([0.0, 1.0]), torch.tensor([[0, 0], [1, 0]]).bool()).item() == (
        pytest.approx(math.log(1 + math.exp(-1)))
    )


def test_loss_does_not_depend_on_order_of_rows_nor_on_the_zero_of_scores() -> None:
    scores, order = torch.randn(5), torch.tensor([3, 1, 4, 0, 2])
    expected = order_loss(scores, later(PLACE, VOLUME))
    permuted = order_loss(scores[order], later(PLACE[order], VOLUME[order]))
    torch.testing.assert_close(permuted, expected)
    torch.testing.assert_close(order_loss(scores + 9, later(PLACE, VOLUME)), expected)


def test_gradient_is_that_of_the_loss() -> None:
    scores = torch.randn(5, dtype=torch.float64, requires_grad=True)
    pairs = later(PLACE, VOLUME)
    assert gradcheck(lambda s: order_loss(s, pairs), (scores,))


def objective(**options) -> SliceOrder:
    return SliceOrder(create_encoder("test_resnet", 1, 32), SliceOrderConfig(**options))


def batch(positions, groups=(0, 0, 1, 1)) -> Batch:
    views = tuple(torch.randn(2, 4, 1, 32, 32))
    return Batch(views, torch.arange(4), torch.tensor(groups), torch.tensor(positions), ("",) * 4)


def counted(made: SliceOrder, given: Batch) -> int:
    _, place, volume = made._slices(given)
    return int(later(place, volume).sum())


def test_a_volume_has_group_and_all_positions_but_the_last_in_common() -> None:
    positions = [[0.0, 5.0], [0.0, 6.0], [0.0, 7.0], [1.0, 8.0]]
    assert counted(objective(), batch(positions)) == 1
    assert counted(objective(across=True), batch(positions)) == 6


def test_without_positions_files_are_in_order() -> None:
    assert counted(objective(), batch([[], [], [], []])) == 2


def test_a_partner_is_a_slice_of_its_own_place() -> None:
    given = batch([[5.0], [6.0], [7.0], [7.0]], groups=(0, 1, 2, 3))
    with pytest.raises(UsageError, match=r"data\.pair_by 'volume'"):
        objective()(given)
    given.partner_positions = torch.tensor([[4.0], [6.0], [9.0], [8.0]])
    assert counted(objective(), given) == 3
    assert objective()(given).loss.isfinite()


def test_accuracy_is_the_share_of_pairs_in_order() -> None:
    made = objective(across=True)
    made.encoder.forward = lambda x: torch.zeros(len(x), made.encoder.num_features)
    output = made(batch([[0.0], [1.0], [2.0], [3.0]]))
    assert output.loss.item() == pytest.approx(math.log(2))
    assert output.metrics["order_accuracy"].item() == 0


def test_views_are_large_and_not_turned() -> None:
    first, second = SliceOrder.views(SliceOrderConfig(), 64)
    assert first == second
    assert (first.policy, first.scale) == ("upright", (0.6, 1.0))
