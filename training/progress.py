"""Shows a training: a progress bar on a terminal; elsewhere a line for each epoch and minute."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from ..data.inspection import summary
from ..data.process import show_log
from ..data.said import unsaid

if TYPE_CHECKING:
    from ..data.inspection import Inspection
    from .setup import Setup

FIRST_LINE, LINES = 5.0, 60.0  # seconds until the first line of a log, and between lines


class Progress:
    """Shows a training.

    Args:
        quiet: Whether to show nothing but warnings.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        main = os.environ.get("RANK", "0") == "0"  # of several processes only the first prints
        self._console = Console(
            stderr=True, highlight=False, markup=False, emoji=False, quiet=not main
        )
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._status = ""
        self._line_due = float("inf")
        show_log(self.say, self.warn)

    def start(self, setup: Setup) -> None:
        """Prints the images, the objective, the encoder and its initial weights."""
        self._line_due = time.monotonic() + FIRST_LINE
        config, dataset = setup.config, setup.dataset
        held_out = len(setup.splits.test)
        classes = ", ".join(f"'{name}'" for name in config.data.classes)
        self.say(
            f"{len(setup.pool)} images ({'/'.join(dataset.channels)})"
            + (f" of {classes}, {setup.left_out} of others left out" if classes else "")
            + (f", a share of {config.data.share:g} of the groups" if config.data.share < 1 else "")
            + (f", {held_out} more held out for testing" if held_out else "")
            + f"; {config.objective.name} on {config.encoder.name} at "
            f"{config.encoder.image_size} px, from {setup.loaded}"
        )
        if setup.encoder.pooling:
            name = config.objective.name
            self.say(f"Features: {setup.encoder.pooling}, which {name} does not train.")

    def understood(self, facts: Inspection) -> None:
        """Prints in short what was understood of the images, and warns of what looks wrong."""
        self.say(summary(facts))
        for remark in unsaid(facts.remarks):
            self._console.print(f"Note: {remark}", soft_wrap=True)
        warnings = unsaid(facts.warnings)
        for warning in warnings:
            self.warn(f"Warning: {warning}")
        if warnings and facts.looked_at < facts.images:
            self.say(
                f"The pixels of {facts.looked_at} images were looked at; 'ssl-kit inspect' "
                "looks at more."
            )

    def resumed(self, step: int, ended: bool) -> None:
        """Says after which step a training goes on, or that it ended there."""
        words = "has ended at" if ended else "goes on after"
        self.say(f"The training {words} step {step}.")

    def say(self, text: str) -> None:
        """Prints a line."""
        if not self._quiet:
            self._console.print(text, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Prints a warning, quiet or not."""
        self._console.print(text, style="yellow", soft_wrap=True)

    @property
    def terminal(self) -> Console | None:
        """The terminal that a line can be refreshed on; None if there is none, or if quiet."""
        return self._console if self._console.is_terminal and not self._quiet else None

    def __enter__(self) -> Progress:
        if console := self.terminal:
            columns = (BarColumn(24), TextColumn("{task.description}", markup=False))
            self._bar = Bar(*columns, console=console, transient=True)
            self._task = self._bar.add_task("starting", total=None)
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

    def step(self, step: int, steps: int, max_time: float | None, elapsed: float) -> None:
        """Moves the bar to a step, or prints a line a minute of a training without terminal.

        Args:
            step: Number of steps done.
            steps: Length of the schedule; 0 while it is not known.
            max_time: Seconds after which the training ends, None for no limit.
            elapsed: Seconds of training.
        """
        each = elapsed / max(step, 1)
        left = (steps - step) * each if steps else (max_time or 0) - elapsed
        if self._bar is None or self._task is None:
            if step != steps and time.monotonic() >= self._line_due:
                self._line_due = time.monotonic() + LINES
                end = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + left))
                self.say(f"step {step}/{steps or '?'}  {each:.3g} s per step  end at about {end}")
            return
        text = f"{step}/{steps or '?'}  {self._status}  {clock(left)} left"
        self._bar.update(self._task, total=steps or None, completed=step, description=text)

    def epoch(self, values: Mapping[str, Any], steps: int) -> None:
        """Prints a line of metrics.jsonl."""
        parts = [
            f"loss {values['loss']:.4f}",
            f"{values['images_per_second']:.0f} images/s",
            f"waiting for data {100 * values['data_wait']:.0f} %",
        ]
        if "verdict" in values:
            parts.append(f"{values['verdict']}, rank {values['rankme_centered']:.0f}")
        self._status = "  ".join(parts)
        if self._bar is None and float(values["epoch"]).is_integer():
            self.say(
                f"epoch {values['epoch']:.0f}  step {values['step']}/{steps or '?'}  {self._status}"
            )


def clock(seconds: float) -> str:
    """Writes a duration: 0:09, 12:30, 1:02:00."""
    minutes, whole_seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{whole_seconds:02d}"
    return f"{minutes}:{whole_seconds:02d}"
