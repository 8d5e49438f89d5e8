"""How many steps a run takes, and which precision it computes in."""

from __future__ import annotations

import time

from .settings import TrainConfig

_DEFAULT_EPOCHS = 100
_PROVISIONAL_STEPS = 1000
_WARM_UP_STEPS = 3  # the first steps are slow and say nothing about the rest
_MEASURED_SECONDS = 10.0
_KEPT_BACK = 0.04  # share of the time left for the collapse watch and the last files


class Schedule:
    """The length of the schedule: by epochs, or measured in the first seconds to fit a time.

    Args:
        config: The `train` section.
        per_epoch: Steps an epoch.
        steps: The length if it is known already, from a checkpoint; else 0.

    Attributes:
        steps: The length, 0 while it is being measured.
    """

    def __init__(self, config: TrainConfig, per_epoch: int, steps: int = 0) -> None:
        self._config, self._per_epoch = config, per_epoch
        self.steps = steps
        self._first: tuple[int, float] | None = None
        if not steps and config.max_time is None:
            self.steps = self._longest

    @property
    def _longest(self) -> int:
        epochs = self._config.epochs
        if epochs is None:
            epochs = _DEFAULT_EPOCHS if self._config.max_time is None else 0
        return epochs * self._per_epoch

    @property
    def provisional(self) -> int:
        """The length, or while it is being measured a guess for the schedule's first steps."""
        return self.steps or self._longest or _PROVISIONAL_STEPS

    def measured(self, step: int) -> bool:
        """Tells, after each step, whether enough has been measured to fix the length."""
        if self.steps or self._config.max_time is None or step < _WARM_UP_STEPS:
            return False
        if self._first is None:
            self._first = (step, time.monotonic())
            return False
        return time.monotonic() - self._first[1] >= min(
            _MEASURED_SECONDS, 0.1 * self._config.max_time
        )

    def propose(self, step: int, elapsed: float) -> int:
        """Returns the length that ends in time at the measured rate.

        Args:
            step: Steps done.
            elapsed: Seconds of the run so far.
        """
        first, since = self._first or (0, time.monotonic() - elapsed)
        rate = (step - first) / max(time.monotonic() - since, 1e-9)
        left = (1 - _KEPT_BACK) * (self._config.max_time or 0) - elapsed
        steps = step + max(1, int(left * rate))
        return min(steps, self._longest) if self._longest else steps
