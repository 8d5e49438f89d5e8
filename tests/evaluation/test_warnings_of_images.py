"""Evaluations warn of what looks wrong in their images, each command once."""

import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.inspection import inspect_dataset
from ssl_kit.data.said import each_said_once
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.evaluation.requests import check_and_say
from ssl_kit.training.progress import Progress


@pytest.fixture
def copied(memory_dataset):
    """Images that are each there twice, of which some copies are in the test part."""
    images = list(np.random.default_rng(0).integers(0, 255, (20, 16, 16, 3), dtype=np.uint8))
    dataset = memory_dataset(images * 2, labels=["a", "b"] * 20)
    return EvaluationData(dataset, split(dataset.index, 0.25), domains["natural"], workers=0)


COPIES = "lie across the test part and the rest"


def test_copies_across_the_test_part_are_a_warning_and_with_strict_an_error(copied, caplog):
    check_and_say([], copied)
    assert [COPIES in text for text in caplog.messages] == [True]
    with pytest.raises(UsageError, match=f"^--strict refuses these images.*{COPIES}"):
        check_and_say([], copied, strict=True)


def test_up_to_64_images_are_looked_at(copied, monkeypatch, memory_dataset):
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    dataset, read = memory_dataset([image] * 500, labels=["a", "b"] * 250), set()
    reader = type(dataset).read
    monkeypatch.setattr(
        type(dataset), "read", lambda self, i: read.add(i) or reader(self, i), raising=False
    )
    check_and_say([], EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"]))
    assert 0 < len(read) <= 65  # and one for the value range


def test_a_command_of_several_parts_says_it_once(copied, caplog, capsys):
    with each_said_once():
        check_and_say([], copied)
        check_and_say([], copied)
        Progress(quiet=True).understood(inspect_dataset(copied.dataset, copied.splits))
    assert sum(COPIES in text for text in caplog.messages) == 1
    assert COPIES not in capsys.readouterr().err
    check_and_say([], copied)
    assert sum(COPIES in text for text in caplog.messages) == 2
