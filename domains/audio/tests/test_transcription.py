from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import ctc_loss, log_softmax

from ssl_kit.nn import create_encoder
from ssl_kit.testing import checks_for
from ssl_kit_audio.ctc import Errors, Writer, count_errors, decode
from ssl_kit_audio.transcription import transcription_result


def slow_distance(a: Any, b: Any) -> int:
    """Insertions, deletions and replacements, by the recursion itself."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        slow_distance(a[1:], b) + 1,
        slow_distance(a, b[1:]) + 1,
        slow_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


@pytest.mark.parametrize(
    "pair", [("seven", "seven"), ("seven", "svn"), ("one two", "one tow"), ("ab", ""), ("a", "xyz")]
)
def test_errors_are_those_of_a_recursion(pair: tuple[str, str]) -> None:
    text, written = pair
    expected = (
        *(len(text), slow_distance(text, written)),
        *(len(text.split()), slow_distance(text.split(), written.split())),
    )
    assert tuple(int(each[0]) for each in count_errors([text], [written])) == expected


@pytest.mark.parametrize(
    ("path", "text"), [("aab", "ab"), ("a_ab", "aab"), ("___", ""), ("_aa__b_", "ab")]
)
def test_equal_characters_are_joined_and_blanks_left_out(path: str, text: str) -> None:
    scores = np.eye(3, dtype=np.float32)[["_ab".index(c) for c in path]]
    assert decode(scores, "ab") == text


def test_the_loss_sums_over_all_paths_that_give_the_text() -> None:
    torch.manual_seed(0)
    log_p = log_softmax(torch.randn(4, 3), dim=1)
    total = sum(
        float(log_p[range(4), path].sum().exp())
        for path in product(range(3), repeat=4)
        if decode(np.eye(3, dtype=np.float32)[list(path)], "ab") == "ab"
    )
    lengths = torch.tensor([4]), torch.tensor([2])
    loss = ctc_loss(log_p[:, None], torch.tensor([1, 2]), *lengths, reduction="sum")
    assert float(loss) == pytest.approx(-np.log(total), rel=1e-5)


def test_there_is_room_for_the_longest_text() -> None:
    encoder = create_encoder("waveform/tiny", 1, 1600)
    net = Writer(encoder, 5, 30, -1)
    out = net(torch.randn(2, 1, 1, 1600))
    assert (out.shape[0], out.shape[2]) == (2, 6)
    assert out.shape[1] >= 61
    assert torch.allclose(out.exp().sum(dim=2), torch.ones(out.shape[:2]))


def test_rates_are_those_of_all_recordings_together() -> None:
    errors = count_errors(["one", "three", "one two"], ["one", "tree", "on two"])
    metrics = transcription_result(errors, np.array([0, 0, 1])).metrics
    assert metrics["character_error_rate"].value == pytest.approx(2 / 15)
    assert metrics["word_error_rate"].value == pytest.approx(2 / 4)
    assert metrics["exact_match"].value == pytest.approx(1 / 3)


def test_more_errors_than_characters_have_an_interval() -> None:
    counts = np.ones(8, dtype=int)
    errors = Errors(counts, 2 + np.arange(8) % 2, counts, counts)
    estimate = transcription_result(errors, np.arange(8)).metrics["character_error_rate"]
    assert estimate.value == 2.5
    assert estimate.low < 2.5 < estimate.high


@pytest.mark.parametrize("check", checks_for("evaluation", "transcription"), ids=str)
def test_it_keeps_to_the_contract(check: Any) -> None:
    check()
