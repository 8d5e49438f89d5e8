"""Relative positioning and temporal shuffling."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn.weights import create_encoder
from ssl_kit_eeg.moments import moments_of, some
from ssl_kit_eeg.relative_positioning import (
    RelativePositioning,
    RelativePositioningConfig,
    balanced_accuracy,
    balanced_logistic,
    pairs_of,
)
from ssl_kit_eeg.temporal_shuffling import (
    TemporalShuffling,
    TemporalShufflingConfig,
    anchors_of,
    differences,
    triples_of,
)

TIME = torch.tensor([0.0, 30, 50, 400, 10, 70, 35])
RECORDING = torch.tensor([0, 0, 0, 0, 1, 1, 0.0])[:, None]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def slow_pairs(time, recording, close, far):
    found = {}
    for i in range(len(time)):
        for j in range(i + 1, len(time)):
            apart = abs(time[i] - time[j])
            if recording[i] == recording[j] and (apart <= close or apart > far):
                found[i, j] = apart <= close
    return found


def test_pairs_are_of_one_recording_close_or_far() -> None:
    pairs, close = pairs_of(TIME, RECORDING, 30, 100)
    found = dict(zip(map(tuple, pairs.tolist()), close.tolist(), strict=True))
    assert found == slow_pairs(TIME.tolist(), RECORDING[:, 0].tolist(), 30, 100)
    assert True in found.values()
    assert False in found.values()


def slow_logistic(logits, positive):
    """Eq. 1, each answer counting a half."""
    terms = {True: [], False: []}
    for z, y in zip(logits, positive, strict=True):
        terms[y].append(math.log(1 + math.exp(-z if y else z)))
    return sum(sum(t) / len(t) for t in terms.values()) / 2


def test_loss_agrees_with_equation_1() -> None:
    logits, positive = torch.randn(9, dtype=torch.float64), torch.arange(9) % 3 == 0
    expected = slow_logistic(logits.tolist(), positive.tolist())
    assert balanced_logistic(logits, positive).item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_guessing_of_knowing_and_of_nothing() -> None:
    positive = torch.tensor([True, False, False])
    assert balanced_logistic(torch.zeros(3), positive).item() == pytest.approx(math.log(2))
    known = torch.tensor([99.0, -99.0, -99.0])
    assert balanced_logistic(known, positive).item() == pytest.approx(0, abs=1e-9)
    assert balanced_accuracy(known, positive).item() == 1
    assert balanced_accuracy(-known.abs(), positive).item() == 0.5
    assert balanced_logistic(torch.zeros(0), torch.zeros(0, dtype=torch.bool)).item() == 0


def test_gradient_is_that_of_the_loss() -> None:
    logits = torch.randn(6, dtype=torch.float64, requires_grad=True)
    positive = torch.arange(6) < 2
    assert gradcheck(lambda z: balanced_logistic(z, positive), (logits,))


def slow_triples(time, recording, close, far):
    found = {}
    n = range(len(time))
    for i in n:
        for j in n:
            if recording[i] != recording[j] or not 0 < time[j] - time[i] <= close:
                continue
            for k in n:
                if recording[k] != recording[i]:
                    continue
                if time[i] < time[k] < time[j]:
                    found[i, k, j] = True
                elif time[k] < time[i] - far or time[k] > time[j] + far:
                    found[i, k, j] = False
    return found


@pytest.mark.parametrize("far", [0.0, 100.0])
def test_triples_are_ordered_or_shuffled(far: float) -> None:
    anchors = anchors_of(TIME, RECORDING, 60)
    triples, ordered = triples_of(anchors, TIME, RECORDING, far)
    found = dict(zip(map(tuple, triples.tolist()), ordered.tolist(), strict=True))
    assert found == slow_triples(TIME.tolist(), RECORDING[:, 0].tolist(), 60, far)
    assert True in found.values()
    assert False in found.values()


def test_differences_stand_side_by_side() -> None:
    h = torch.randn(4, 3)
    made = differences(h, torch.tensor([[0, 2, 3]]))
    torch.testing.assert_close(made[0], torch.cat([(h[0] - h[2]).abs(), (h[2] - h[3]).abs()]))


def test_no_more_than_16_tuples_a_window_are_used() -> None:
    chosen = torch.arange(200)[:, None]
    assert len(some(chosen, 3, torch.zeros(1)).unique()) == 48
    assert some(chosen, 20, torch.zeros(1)) is chosen


def batch(positions, groups=(0, 0, 1, 1)) -> Batch:
    n = len(groups)
    views = tuple(torch.randn(2, n, 2, 1, 64))
    return Batch(views, torch.arange(n), torch.tensor(groups), torch.tensor(positions), ("",) * n)


def test_a_recording_has_group_and_all_positions_but_the_last_in_common() -> None:
    moments = moments_of(batch([[0.0, 5.0], [0.0, 6.0], [0.0, 7.0], [1.0, 8.0]]))
    assert moments.time.tolist() == [5, 6, 7, 8]
    assert moments.recording.tolist() == [[0, 0], [0, 0], [1, 0], [1, 1]]


def test_a_partner_is_a_window_of_its_own_time() -> None:
    given = batch([[0.0, 5.0]] * 4)
    given.partner_positions = torch.tensor([[0.0, 60.0]] * 4)
    moments = moments_of(given)
    assert moments.time.tolist() == [5] * 4 + [60] * 4
    assert len(torch.cat(moments.views)) == 8


def test_without_positions_images_follow_each_other() -> None:
    moments = moments_of(batch([[], [], [], []]))
    assert moments.time.tolist() == [0, 1, 2, 3]
    assert len(moments.recording.unique()) == 1


def positioning(**options) -> RelativePositioning:
    return RelativePositioning(
        create_encoder("resnet1d/tiny", 2, 64), RelativePositioningConfig(**options)
    )


def test_what_never_has_a_pair_stops_with_advice() -> None:
    made, given = positioning(), batch([[0.0, 5.0]] * 4, groups=(0, 1, 2, 3))
    for _ in range(99):
        made.supply.check(False, "pairs")
    with pytest.raises(UsageError, match=r"data\.pair_by 'recording'"):
        made(given)
    assert made.eval()(given).loss.item() == 0


def test_a_batch_with_pairs_ends_the_wait() -> None:
    made = positioning(close=2, far=10)
    made.supply.check(False, "pairs")
    output = made(batch([[0.0, 0.0], [0.0, 1.0], [0.0, 50.0], [0.0, 51.0]], groups=(0,) * 4))
    assert int(made.supply.lacking) == 0
    assert output.metrics["pairs"].item() == 6


def test_far_is_not_nearer_than_close() -> None:
    with pytest.raises(UsageError, match="less than"):
        positioning(close=60, far=30)


def test_shuffling_looks_at_triples_of_a_batch() -> None:
    encoder = create_encoder("resnet1d/tiny", 2, 64)
    made = TemporalShuffling(encoder, TemporalShufflingConfig(close=2, far=0))
    output = made(batch([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 9.0]], groups=(0,) * 4))
    assert output.metrics["triples"].item() == 6
    assert output.loss.isfinite()
