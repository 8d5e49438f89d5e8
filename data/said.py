"""What is said once in a command, although several of its parts find it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SAID: ContextVar[set[str] | None] = ContextVar("said", default=None)


@contextmanager
def each_said_once() -> Iterator[None]:
    """Makes the trainings and evaluations of one command say once what they find in the images."""
    token = _SAID.set(set())
    try:
        yield
    finally:
        _SAID.reset(token)


def unsaid(texts: Iterable[str]) -> list[str]:
    """Returns sentences without repetitions, and without those said before in `each_said_once`.

    Args:
        texts: What is now said of some images.
    """
    said = _SAID.get()
    new = [text for text in dict.fromkeys(texts) if said is None or text not in said]
    if said is not None:
        said.update(new)
    return new
