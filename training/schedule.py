"""The length of the learning-rate schedule: a number of epochs, or what fits into a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.errors import RunError
from .settings import TrainConfig

_DEFAULT_EPOCHS = 100
_PROVISIONAL_STEPS = 1_000_000  # so many that the first steps are no progress worth mentioning
_WARM_UP_STEPS = 3  # the first steps are slower than the others
_ENOUGH, _LONGEST = 5, 5.0  # steps that tell a pause; a step counts at most so many mean ones

# Shares of the time:
_FIRST_PLAN, _FIRST_PLAN_SECONDS = 0.01, 1.0  # measured before the first plan, or so many seconds
_LONG_WARM_UP = 0.05  # where so few steps fit that the first ones count too
_WINDOW = 0.05  # over which the speed is averaged
_TOLERANCE = 0.01  # by which the planned end may be off
_PAUSE = 0.01  # at least, between two corrections
_RESERVE = 0.01  # kept back for what cannot be foreseen


class Schedule:
    """Plans the number of steps, and corrects the plan where `max_time` would not be kept.

    The plan is a list of changes (step, steps): from that step on, the training is to end after
    `steps` steps. Progress, from 0 to 1, rises evenly towards the planned end. A change bends it
    and never makes it jump. It depends on the changes alone, so that a resume repeats them.

    Args:
        config: The `train` section.
        per_epoch: Number of steps in an epoch.
        changes: What is recorded of an earlier plan, in the order in which it was made.

    Attributes:
        changes: The plan, by rising step; the first is at step 0.
        closing: Seconds that the last measurements and files will take.
        repeated_until: Step up to which a training is repeated, whose plan is kept.
    """

    def __init__(
        self, config: TrainConfig, per_epoch: int, changes: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._max_time = config.max_time
        epochs = config.epochs or (_DEFAULT_EPOCHS if config.max_time is None else 0)
        self.longest = epochs * per_epoch  # 0 if there is no limit
        self.changes = [(0, self.longest or _PROVISIONAL_STEPS)]
        self.closing, self.repeated_until = 0.0, 0
        self._steps = self._seconds = 0.0  # of the latest steps, earlier ones fade away
        self._warming_up = _WARM_UP_STEPS
        for step, steps in changes:
            self.change(step, steps)
        self._corrected_at = -math.inf

    def steps(self, step: int) -> int:
        """Returns the number of steps in the plan, as it is after a step."""
        return next(steps for at, steps in reversed(self.changes) if at <= step)

    def known_steps(self, step: int) -> int:
        """Returns the number of steps in the plan, 0 as long as the speed was not measured."""
        steps = self.steps(step)
        return 0 if steps == _PROVISIONAL_STEPS and self._max_time is not None else steps

    def progress(self, step: int) -> float:
        """Returns the share of the schedule that is done after a step, from 0 to 1."""
        (begin, end), done = self.changes[0], 0.0
        for at, steps in self.changes[1:]:
            if at >= step:
                break
            done += (1 - done) * (at - begin) / (end - begin)
            begin, end = at, steps
        return done + (1 - done) * (step - begin) / (end - begin)

    def length(self, step: int) -> int:
        """Returns the length of which `step` is the share `progress`, as a whole number.

        Learning rate and momentum are functions of (step, steps). With this length they follow
        the progress, whatever was changed; without changes it is the number of steps.
        """
        done = self.progress(step)
        return max(step, round(step / done)) if done else self.steps(step)

    def measured(self, seconds: float) -> None:
        """Notes how long a step took; slow first steps are forgotten."""
        if self._max_time is None:
            return
        if self._steps >= _ENOUGH:  # a single pause says nothing about the steps to come
            seconds = min(seconds, _LONGEST * self._seconds / self._steps)
        kept = math.exp(-seconds / (_WINDOW * self._max_time))
        self._steps, self._seconds = kept * self._steps + 1, kept * self._seconds + seconds
        self._warming_up -= 1
        if self._warming_up == 0 and self._seconds < _LONG_WARM_UP * self._max_time:
            self._steps = self._seconds = 0.0

    def correction(self, step: int, elapsed: float) -> int:
        """Returns a number of steps that keeps `max_time`; 0 if the plan does, or none is known.

        Args:
            step: Number of steps taken.
            elapsed: Seconds of training so far.
        """
        time, (planned_at, planned) = self._max_time, self.changes[-1]
        if time is None or not self._is_measured(time):
            return 0
        if not max(planned_at, self.repeated_until) < step < planned:
            return 0
        if elapsed - self._corrected_at < min(_PAUSE * time, self._seconds):
            return 0
        per_step = self._seconds / self._steps
        left = (1 - _RESERVE) * time - self.closing - elapsed
        steps = step + max(1, int(left / per_step))
        steps = min(steps, self.longest) if self.longest else steps
        if self.known_steps(step) and abs(steps - planned) * per_step < _TOLERANCE * time:
            return 0
        return steps if steps != planned else 0

    def _is_measured(self, time: float) -> bool:
        if self._warming_up > 0:
            return self._seconds >= _LONG_WARM_UP * time
        return self._seconds >= min(_FIRST_PLAN_SECONDS, _FIRST_PLAN * time)

    def asked(self, step: int) -> int:
        """Returns the number of steps that `epochs` now asks for; 0 if the plan agrees.

        Raises:
            RunError: If more steps have been taken.
        """
        planned = self.changes[-1][1]
        if planned == self.longest or (self._max_time and not 0 < self.longest < planned):
            return 0
        if self.longest <= step:
            raise RunError(
                f"The run has trained for {step} steps already, and train.epochs allows "
                f"{self.longest}. Raise it in config.toml."
            )
        return self.longest

    def change(self, step: int, steps: int, elapsed: float = 0.0) -> None:
        """Changes the plan: from a step on, the training is to end after `steps` steps."""
        self.changes = [c for c in self.changes if c[0] < step] + [(step, steps)]
        self._corrected_at = elapsed
