"""Means of the loss and of the objective's metrics since the last record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import RunError
from ..core.objective import Output


class Tally:
    """Sums losses one step late, so that the loop does not wait for the GPU.

    Args:
        kept: Returns a clause on the last checkpoint, for the message on a loss that is not finite.
        folder: Of the run, for the same message.

    Attributes:
        count: Number of steps that are summed since the last record.
        since: Seconds of training at the last record.
    """

    def __init__(self, kept: Callable[[], str], folder: Path) -> None:
        self.count, self.since = 0, 0.0
        self._kept, self._folder = kept, folder
        self._loss = 0.0
        self._sums: dict[str, float] = {}
        self._pending: tuple[Tensor, Mapping[str, Tensor], tuple[str, ...], int] | None = None

    def add(self, outputs: Sequence[Output], keys: tuple[str, ...], step: int) -> None:
        """Keeps the outputs of a step, one for each phase, and sums those of the step before.

        The loss of a step is the sum over its phases.

        Raises:
            RunError: If the loss of the step before is not finite.
        """
        self.settle()
        loss = reduce(torch.add, [output.loss.detach() for output in outputs])
        metrics = {name: value for output in outputs for name, value in output.metrics.items()}
        self._pending = (loss, metrics, keys, step)

    def settle(self) -> None:
        """Sums the output that is kept.

        Raises:
            RunError: If the loss is not finite.
        """
        if self._pending is None:
            return
        loss, metrics, keys, step = self._pending
        self._pending, value = None, float(loss)
        if not math.isfinite(value):
            raise RunError(
                f"The loss became {value} at step {step}; {self._kept()}. Set a lower optimizer.lr "
                f"or optimizer.clip=1 in '{self._folder}/config.toml' and go on with 'ssl-kit "
                f"train --resume {self._folder}', or look at the images of that step: "
                f"{', '.join(keys)}."
            )
        self._loss += value
        self.count += 1
        for name, metric in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(metric)

    def means(self) -> dict[str, float]:
        """Returns the means by name, "loss" first."""
        sums = {"loss": self._loss, **self._sums}
        return {name: total / max(self.count, 1) for name, total in sums.items()}

    def reset(self, elapsed: float) -> None:
        """Starts a new record, after so many seconds of training."""
        self._loss, self.count, self._sums, self.since = 0.0, 0, {}, elapsed

    def state_dict(self) -> dict[str, Any]:
        """Returns the sums as plain values."""
        sums = {"loss": self._loss, "count": self.count, "sums": self._sums}
        return {**sums, "since": self.since}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Restores the sums."""
        self._loss, self.count, self._sums = values["loss"], values["count"], values["sums"]
        self.since = values.get("since", 0.0)  # missing in checkpoints of earlier versions
