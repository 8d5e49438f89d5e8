"""The length of the learning-rate schedule: a number of epochs, or what fits into a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.errors import RunError
from .settings import TrainConfig

_DEFAULT_EPOCHS = 100
_PROVISIONAL_STEPS = 100  # the first step is taken as in a training of so many
_FIRST_STEPS = 3  # slower than the others, so that a plan is made anew after each of them
_CAUTION = 2.0  # a first plan has progress u * min(1, 2u) where the share u of its steps is done
_TICK = 1e-6  # seconds; a coarse clock may measure none
_ENOUGH, _LONGEST = 5, 5.0  # steps that tell a pause; a step counts at most so many mean ones

# Shares of the time:
_FIRST_PLAN, _FIRST_PLAN_SECONDS = 0.01, 1.0  # measured before a plan is final, or so many seconds
_WINDOW = 0.05  # over which the speed is averaged
_TOLERANCE = 0.01  # by which the planned end may be off
_PAUSE = 0.01  # at least, between two corrections
_RESERVE = 0.01  # kept back for what cannot be foreseen


class Schedule:
    """Plans the number of steps, and corrects the plan where `max_time` would not be kept.

    The plan is a list of changes (step, steps): from that step on, the training is to end after
    `steps` steps. Progress, from 0 to 1, rises evenly towards the planned end. A change bends it
    and never makes it jump. It depends on the changes alone, so that a resume repeats them.

    Under `max_time` the plans after each of the first three steps are provisional, because these
    steps contain start-up costs: what they take for a share of the training may be little of it.
    So progress is less than this share if that is small. The first plan after them is made from
    the start, as if the speed had been known all along.

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
        self.longest = max(1, round(epochs * per_epoch)) if epochs else 0  # 0: there is no limit
        self.changes = [(0, self.longest or _PROVISIONAL_STEPS)]
        self.closing, self.repeated_until = 0.0, 0
        self._steps = self._seconds = 0.0  # of the latest steps, earlier ones fade away
        self._fastest, self._warming_up = math.inf, _FIRST_STEPS
        for step, steps in changes:
            self.change(step, steps)
        self._corrected_at = -math.inf

    def steps(self, step: int) -> int:
        """Returns the number of steps in the plan, as it is after a step."""
        return next(steps for at, steps in reversed(self.changes) if at <= step)

    def known_steps(self, step: int) -> int:
        """Returns the number of steps in the plan, 0 as long as the speed is not known."""
        steps, plan = self.steps(step), [c for c in self.changes if c[0] <= step]
        return steps if self._is_final(plan) or step == steps else 0

    def _is_final(self, plan: Sequence[tuple[int, int]]) -> bool:
        at, steps = plan[-1]
        first = at <= _FIRST_STEPS if at else steps == _PROVISIONAL_STEPS
        return self._max_time is None or not first or steps == self.longest

    def progress(self, step: int, coming: bool = False) -> float:
        """Returns the share of the schedule that is done after a step, from 0 to 1.

        Args:
            step: Number of steps taken.
            coming: Whether a change of the plan at this step counts, as it does for the next step.
        """
        plan = [c for c in self.changes if c[0] < step + coming] or self.changes[:1]
        if not self._is_final(plan):
            share = min(1.0, step / plan[-1][1])
            return share * min(1.0, _CAUTION * share)
        final = [n for n in range(len(plan)) if self._is_final(plan[: n + 1])]
        (_, end), begin, done = plan[final[0]], 0, 0.0
        for at, steps in plan[final[0] + 1 :]:
            done += (1 - done) * (at - begin) / (end - begin)
            begin, end = at, steps
        return done + (1 - done) * (step - begin) / (end - begin)

    def length(self, step: int, coming: bool = False) -> int:
        """Returns the length of which `step` is the share `progress`, as a whole number.

        Learning rate and momentum are functions of (step, steps). With this length they follow
        the progress, whatever was changed; without changes it is the number of steps.

        Args:
            step: Number of steps taken.
            coming: As in `progress`.
        """
        done = self.progress(step, coming)
        return max(step, round(step / done)) if done else self.steps(step)

    def measured(self, seconds: float) -> None:
        """Notes how long a step took; of the slow first steps only the fastest counts."""
        if self._max_time is None:
            return
        if self._warming_up > 0:
            self._warming_up -= 1
            self._fastest = min(self._fastest, seconds)
            self._steps, self._seconds = 1.0, self._fastest
            return
        if self._steps >= _ENOUGH:  # a single pause says nothing about the steps to come
            seconds = min(seconds, _LONGEST * self._seconds / self._steps)
        kept = math.exp(-seconds / (_WINDOW * self._max_time))
        self._steps, self._seconds = kept * self._steps + 1, kept * self._seconds + seconds

    def correction(self, step: int, elapsed: float) -> int:
        """Returns a number of steps that keeps `max_time`; 0 if the plan does, or none is known.

        Args:
            step: Number of steps taken.
            elapsed: Seconds of training so far.
        """
        time, (planned_at, planned) = self._max_time, self.changes[-1]
        first = step <= _FIRST_STEPS
        if time is None or not (first or self._is_measured(time)):
            return 0
        if not max(planned_at, self.repeated_until) < step < planned + first:
            return 0
        if not first and elapsed - self._corrected_at < min(_PAUSE * time, self._seconds):
            return 0
        per_step = max(self._seconds / self._steps, _TICK)
        left = (1 - _RESERVE) * time - self.closing - elapsed
        over = step == planned or (first and elapsed >= time)
        steps = step + max(0 if over else 1, int(left / per_step))
        steps = min(steps, self.longest) if self.longest else steps
        if first or not self._is_final(self.changes):
            return steps if steps != planned or not first else 0
        return steps if abs(steps - planned) * per_step >= _TOLERANCE * time else 0

    def _is_measured(self, time: float) -> bool:
        enough = min(_FIRST_PLAN_SECONDS, _FIRST_PLAN * time)
        return self._warming_up == 0 and self._seconds >= enough

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
