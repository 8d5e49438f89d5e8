"""Shows work of several parts: how many are done, which one is under way, and the time left.

On a terminal this is one line that is refreshed. Elsewhere a line comes after five seconds, and
then each minute, when the part under way tells how far it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from rich.progress import Progress as Bar
from rich.progress import ProgressColumn, SpinnerColumn, Task
from rich.text import Text

from .progress import FIRST_LINE, LINES, Progress, clock

_T = TypeVar("_T")
_SHOWN = 1.0  # seconds from which on a remaining time is worth showing


@dataclass
class _Count:
    """Steps of a part, of which `first` were done at the time `since`."""

    total: int
    first: int
    since: float
    done: int

    def words(self, now: float) -> str:
        """Writes how many are done, and if it is a while, the time that the others will take."""
        text, done = f"{self.done}/{self.total}", self.done - self.first
        left = (now - self.since) / done * (self.total - self.done) if done else 0.0
        return f"{text} ({clock(left)} more)" if left > _SHOWN else text


class Work:
    """Work that is shown while it is done, as a context.

    Args:
        progress: What it is shown by.
        parts: Number of parts; 0 if there is one.

    Attributes:
        progress: What it is shown by.
        parts: Number of parts.
        done: Number of parts that are done.
    """

    def __init__(self, progress: Progress, parts: int = 0) -> None:
        self.progress, self.parts, self.done = progress, parts, 0
        self._name, self._counts = "", dict[str, _Count]()
        self._expected: float | None = None
        self._started = self._began = time.monotonic()
        self._due = self._started + FIRST_LINE
        self._bar: Bar | None = None
        self._token: Token[Work | None] | None = None

    def __enter__(self) -> Work:
        self._token = _UNDER_WAY.set(self)
        if console := self.progress.terminal:
            self._bar = Bar(SpinnerColumn(), _Line(self), console=console, transient=True)
            self._bar.add_task("")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._token is not None:
            _UNDER_WAY.reset(self._token)

    def begin(self, name: str, expected: float | None = None) -> None:
        """Begins a part.

        Args:
            name: What it is.
            expected: Seconds that it and all parts after it will take; None estimates them from
                the parts that are done.
        """
        now = time.monotonic()
        if expected is None and self.done:
            expected = (now - self._started) / self.done * (self.parts - self.done)
        self._name, self._expected, self._began = name, expected, now
        self._counts.clear()
        self._line(now)

    def end(self) -> None:
        """Ends a part."""
        self.done += 1

    def note(self, done: int, total: int, noun: str) -> None:
        """Notes how far the part under way is.

        Args:
            done: Number of steps that are done.
            total: Number of all steps.
            noun: What a step is: "epoch".
        """
        now, count = time.monotonic(), self._counts.get(noun)
        if count is None or count.total != total or done <= count.done:
            count = self._counts[noun] = _Count(total, done, now, done)
        count.done = done
        if done >= total:
            del self._counts[noun]
        self._line(now)

    @property
    def text(self) -> str:
        """How many parts are done, the one under way, the time that has passed and that is left."""
        now = time.monotonic()
        count = f"{self.done}/{self.parts}" if self.parts > 1 else ""
        times = f"{clock(now - self._started)} elapsed"
        if self._expected is not None:
            times += f", about {clock(self._expected - (now - self._began))} left"
        counts = [f"{noun} {each.words(now)}" for noun, each in list(self._counts.items())]
        return "  ".join(filter(None, [count, self._name, *counts, times]))

    def _line(self, now: float) -> None:
        if self._bar is None and now >= self._due:
            self._due = now + LINES
            self.progress.say(self.text)


class _Line(ProgressColumn):
    """The text of the work, made anew whenever the terminal is refreshed."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def render(self, task: Task) -> Text:
        """Returns the text."""
        return Text(self._work.text, overflow="ellipsis", no_wrap=True)


_UNDER_WAY: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def shown(name: str, quiet: bool = False) -> Iterator[Progress]:
    """Shows work of one part, as a context; yields what shows it.

    Args:
        name: What it is.
        quiet: Whether to show nothing but warnings.
    """
    with Work(Progress(quiet)) as work:
        work.begin(name)
        yield work.progress


def note_progress(done: int, total: int, noun: str) -> None:
    """Notes how far the work under way is, for the person who waits for it; see `Work.note`."""
    if work := _UNDER_WAY.get():
        work.note(done, total, noun)


def begin_part(name: str, expected: float) -> None:
    """Begins a part of the work under way, which with all after it takes `expected` seconds."""
    if work := _UNDER_WAY.get():
        work.begin(name, expected)


def as_parts(items: Sequence[_T], named: Callable[[_T], str]) -> Iterator[_T]:
    """Yields items, each of which is a part of the work under way.

    Args:
        items: The parts.
        named: Returns the name of a part.
    """
    work = _UNDER_WAY.get()
    if work:
        work.parts, work.done = len(items), 0
    for item in items:
        if work:
            work.begin(named(item))
        yield item
        if work:
            work.end()


def counted(items: Collection[_T], noun: str) -> Iterator[_T]:
    """Yields items, and notes how many are done as progress of the work under way.

    Args:
        items: What is done one after the other.
        noun: What an item is: "fold".
    """
    for number, item in enumerate(items):
        note_progress(number, len(items), noun)
        yield item
