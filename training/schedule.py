"""The length of the learning-rate schedule, from a number of epochs or from a time."""

from __future__ import annotations

import time

from .settings import TrainConfig

_DEFAULT_EPOCHS = 100
_PROVISIONAL_STEPS = 1000
_WARM_UP_STEPS = 3  # the first steps are slower than the others
_MEASURED_SECONDS = 10.0
_KEPT_BACK = 0.04  # share of the time left for the collapse watch and the last files


class Schedule:
    """Fixes the number of steps: by epochs, or by the speed of the first steps to fit a time.

    Args:
        config: The `train` section.
        per_epoch: Number of steps in an epoch.
        steps: Number of steps if it is known already, from a checkpoint; else 0.

    Attributes:
        steps: Number of steps; 0 while the speed is being measured.
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
        """The number of steps, or a guess for the first steps while the speed is being measured."""
        return self.steps or self._longest or _PROVISIONAL_STEPS

    def measured(self, step: int) -> bool:
        """Returns whether the speed has been measured for long enough; call it after each step."""
        if self.steps or self._config.max_time is None or step < _WARM_UP_STEPS:
            return False
        if self._first is None:
            self._first = (step, time.monotonic())
            return False
        return time.monotonic() - self._first[1] >= min(
            _MEASURED_SECONDS, 0.1 * self._config.max_time
        )

    def propose(self, step: int, elapsed: float) -> int:
        """Returns the number of steps that ends in time at the measured speed.

        Args:
            step: Number of steps taken.
            elapsed: Seconds of training so far.
        """
        first, since = self._first or (0, time.monotonic() - elapsed)
        per_second = (step - first) / max(time.monotonic() - since, 1e-9)
        left = (1 - _KEPT_BACK) * (self._config.max_time or 0) - elapsed
        steps = step + max(1, int(left * per_second))
        return min(steps, self._longest) if self._longest else steps
