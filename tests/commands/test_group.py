"""Errors of the machine are one line at the terminal."""

import pytest

from ssl_kit.commands.terminal.group import _reason_of


@pytest.mark.parametrize(
    ("text", "end"), [("", "number of workers."), ("Unable to allocate 9 GiB", "9 GiB).")]
)
def test_full_memory_is_explained_with_and_without_a_text_of_python(text, end):
    error = MemoryError(text) if text else MemoryError()
    reason = _reason_of(error)
    assert reason.startswith("The memory is full. Lower the batch size")
    assert reason.endswith(end)
