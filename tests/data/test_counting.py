"""Counts with their nouns."""

import pytest

from ssl_kit.data.counting import agree, plural


@pytest.mark.parametrize(
    ("count", "word", "text"),
    [
        (1, "tile", "1 tile"),
        (2, "slide", "2 slides"),
        (0, "image", "0 images"),
        (1204, "image", "1,204 images"),
        (3, "class", "3 classes"),
        (2, "copy", "2 copies"),
        (2, "day", "2 days"),
        (2, "series", "2 series"),
        (2, "patch", "2 patches"),
        (2, "epoch", "2 epochs"),
    ],
)
def test_a_noun_agrees_with_its_count(count, word, text):
    assert plural(count, word) == text


def test_a_verb_agrees_with_its_count():
    assert (agree(1, "is", "are"), agree(0, "is", "are")) == ("is", "are")
