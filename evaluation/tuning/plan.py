"""How a budget of time is spent: many short runs, fewer long ones, and new seeds for the best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import UsageError
from ...training.progress import clock

FINALISTS = 1  # beside the default
_FACTOR = 3  # by which runs become longer and fewer from rung to rung
_CANDIDATES = {3: (36, 12, 4), 2: (12, 4), 1: (6,)}  # by the number of rungs, the most first
_FEWEST_SEEDS, _SEEDS = 2, 3  # new seeds in the final; the latter with the most rungs
_MARGIN, _WIDE_MARGIN = (
    1.3,
    4.0,
)  # of what is needed; wide where the cost is not measured to its end
_USED = 0.9  # share of the time that is planned; the rest is for what takes longer than measured
_RESERVE, _MOST_RESERVE = 0.03, 15.0  # share of the budget, and seconds, that the outcome takes
_STEPS = 24  # of the shortest runs where there are several rungs: fewer tell little
_SHORTEST = 1.0  # seconds of a run, which lasts no shorter than what comes beside it either
_ROOM = 0.7  # share of the free memory; processes that load images need some as well
SLACK = 1.25  # a slower candidate may take so much longer than the default, and ends then


@dataclass(frozen=True)
class Cost:
    """What was measured of the default.

    Attributes:
        speed: Images trained on in a second.
        overhead: Seconds of a trial beside its steps: opening, measuring, judging, writing.
        step: Seconds of a step, of which a run has at least one.
        memory: Bytes that the training took of the machine's memory; 0 if it is not known.
    """

    speed: float
    overhead: float
    step: float = 0.0
    memory: int = 0

    @property
    def shortest(self) -> float:
        """Seconds of the shortest run that is worth what comes beside it."""
        return max(_SHORTEST, self.overhead, self.step)


@dataclass(frozen=True)
class Plan:
    """Numbers of candidates and lengths of runs.

    Attributes:
        candidates: Number of candidates in each rung, the default included.
        seconds: Length of a run of the default in each rung; the final has that of the last.
        epochs: The same in epochs.
        seeds: Number of new seeds in the final, more if time is left.
        ends: Seconds from the start until which the runs of each rung end.
        overhead: Seconds of a trial beside its steps.
        budget: Seconds of everything.
        image_sizes: Image sizes that there is memory for, the default first; all if empty.
        images: Fingerprint of the images; "" in a plan of an earlier version.
    """

    candidates: tuple[int, ...]
    seconds: tuple[float, ...]
    epochs: tuple[float, ...]
    seeds: int
    ends: tuple[float, ...]
    overhead: float
    budget: float
    image_sizes: tuple[int, ...] = ()
    images: str = ""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Plan:
        """Restores a plan from plain values."""
        facts: dict[str, Any]
        facts = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**facts)

    @property
    def rungs(self) -> int:
        """Number of rungs before the final, which is the stage after them."""
        return len(self.candidates)

    def fits(self, stage: int, elapsed: float, overhead: float, runs: int = 1) -> bool:
        """Tells whether runs of a stage may begin.

        All must end within the budget, even if they take as long as they may. A rung ends when
        half of a usual run would be over its share of the time.

        Args:
            stage: Number of the rung, or of the final.
            elapsed: Seconds from the start.
            overhead: Seconds that runs have taken beside their steps so far.
            runs: Number of runs.
        """
        end = self.budget - min(_RESERVE * self.budget, _MOST_RESERVE)
        if elapsed + runs * (SLACK * self.length(stage) + max(overhead, self.overhead)) > end:
            return False
        usual = self.length(stage) + self.overhead
        return stage >= self.rungs or elapsed + usual / 2 <= self.ends[stage]

    def max_time(self, stage: int) -> float:
        """Returns the seconds after which the training of a stage ends, whatever it costs.

        The measurements at its start and end, which are part of the overhead, are included.
        """
        return SLACK * self.length(stage) + self.overhead

    def length(self, stage: int) -> float:
        """Returns the seconds of training of the default in a stage."""
        return self.seconds[min(stage, self.rungs - 1)]


def make_plan(budget: float, spent: float, cost: Cost, images: int) -> Plan:
    """Divides what is left of a budget by successive halving.

    Jamieson & Talwalkar 2016, https://arxiv.org/abs/1502.07943, with a factor of 3. There are as
    many rungs as leave the shortest runs long enough, and with at least 24 steps.

    Args:
        budget: Seconds of everything.
        spent: Seconds that have passed.
        cost: What was measured of the default.
        images: Number of images to train on.

    Raises:
        UsageError: If not even one rung fits.
    """
    for rungs, candidates in _CANDIDATES.items():
        lengths = tuple(_FACTOR**k for k in range(rungs))
        seeds = _FEWEST_SEEDS if rungs < len(_CANDIDATES) else _SEEDS
        counts = (*candidates, (FINALISTS + 1) * seeds)
        left = _USED * (budget - spent) - cost.overhead * sum(counts)
        unit = left / sum(
            n * length for n, length in zip(counts, (*lengths, lengths[-1]), strict=True)
        )
        if unit >= (cost.shortest if rungs == 1 else max(cost.shortest, _STEPS * cost.step)):
            break
    else:
        raise _too_short(budget, spent, cost, sum(counts), _MARGIN)
    lasting = [
        n * (unit * length + cost.overhead) for n, length in zip(candidates, lengths, strict=True)
    ]
    ends = tuple(spent + sum(lasting[: k + 1]) for k in range(rungs))
    runs = tuple(unit * length for length in lengths)
    epochs = tuple(float(f"{s * cost.speed / images:.3g}") for s in runs)
    return Plan(candidates, runs, epochs, seeds, ends, cost.overhead, budget)


def sizes_with_room(sizes: Sequence[int], memory: int, free: int) -> tuple[int, ...]:
    """Returns the image sizes that there is memory for.

    The maps of a network, which take most of it, grow with the area of the images.

    Args:
        sizes: Image sizes, the default first, which is always kept.
        memory: Bytes that training with the default took; 0 if it is not known.
        free: Bytes that were free before.
    """
    return tuple(s for s in sizes if s <= sizes[0] or memory * (s / sizes[0]) ** 2 <= _ROOM * free)


def seconds_per_step(ends: Sequence[float]) -> float:
    """Returns the mean duration of the steps after the first third; 0 if there are too few.

    The first steps wait for processes that load images and for kernels that are chosen, and after
    the last one the representation is measured. Each trial has them once, so that they count as
    what it takes beside its steps.

    Args:
        ends: Seconds of training after each step.
    """
    later = ends[len(ends) // 3 : -1]
    return (later[-1] - later[0]) / (len(later) - 1) if len(later) > 1 else 0.0


def refuse_if_too_short(budget: float, spent: float, cost: Cost) -> None:
    """Refuses a budget that cannot be enough, whatever else is measured.

    Args:
        budget: Seconds of everything.
        spent: Seconds that have passed.
        cost: What the default costs at least.

    Raises:
        UsageError: If not even one rung fits; it says what would be enough.
    """
    runs = sum(_CANDIDATES[1]) + (FINALISTS + 1) * _FEWEST_SEEDS
    if _needed(spent, cost, runs) > budget:
        raise _too_short(budget, spent, cost, runs, _WIDE_MARGIN)


def _needed(spent: float, cost: Cost, runs: int) -> float:
    return spent + runs * (cost.shortest + cost.overhead) / _USED


def _too_short(budget: float, spent: float, cost: Cost, runs: int, margin: float) -> UsageError:
    early = " at least, perhaps more," if margin == _WIDE_MARGIN else " or more,"
    needed = _needed(spent, cost, runs)
    beside = f", and {cost.overhead:.0f} s beside the steps of each," if cost.overhead >= 1 else ""
    enough = math.ceil(margin * needed / 60)
    return UsageError(
        f"--budget of {clock(budget)} is too short: {runs} runs of {cost.shortest:.0f} s at least"
        f"{beside} take {clock(needed)} with what comes before and a reserve. Give --budget "
        f"{enough}m{early} or lower the image size or the batch size."
    )


@dataclass
class Clock:
    """The time that a search has taken, that before an interruption included.

    Attributes:
        before: Seconds before the interruption.
        now: Tells the time in seconds.
    """

    before: float = 0.0
    now: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        """Starts the clock."""
        self._began = self.now()

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return self.before + self.now() - self._began
