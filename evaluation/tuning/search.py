"""Successive halving: all candidates briefly, the better ones longer, the best with new seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import RunError, SslKitError
from ...training.engine import Stopped, late_signals_stop
from ...training.progress import Progress, clock
from ...training.settings import RunConfig
from ...training.setup import resolve
from ...training.work import begin_part
from .plan import FINALISTS, Clock, Plan
from .sampling import RANDOM, near_default, suggest
from .space import OBJECTIVE, Params, Space
from .trials import Measured, Record, Trial, as_trial, clean, unless_killed

MOST_SEEDS = 5
_MOST_TIMES = 4  # as many candidates as planned
_ATTEMPTS = 5  # to suggest a candidate that was not tried
_FAILURES = (SslKitError, MemoryError, ArithmeticError, RuntimeError, ValueError)

Measure = Callable[[RunConfig, Path], Measured]
"""Trains a run in a folder, and judges its encoder."""


@dataclass
class Search:
    """A search under way.

    Attributes:
        out: Folder of the search.
        space: What is searched.
        plan: How the time is spent.
        measure: Trains and judges.
        clock: Tells the time.
        progress: Shows what happens.
        metric: Name of the metric, for messages.
        seed: Seed of the rungs; the final has the seeds after it.
        records: Trials that have ended, those before an interruption included.
        hints: What the first candidates after the default change, and nothing else.
    """

    out: Path
    space: Space
    plan: Plan
    measure: Measure
    clock: Clock
    progress: Progress
    metric: str
    seed: int = 0
    records: dict[Trial, Record] = field(default_factory=dict)
    hints: Sequence[Params] = ()

    def run(self) -> list[int]:
        """Runs all rungs and the final.

        Returns:
            The finalists: the default, if it can be trained, and the best others.

        Raises:
            RunError: If no candidate can be trained.
            KeyboardInterrupt: If it is interrupted; the message says how to go on.
        """
        try:
            ranked = self._first_rung()
            for rung in range(1, self.plan.rungs):
                ranked = self._rung(rung, ranked)
            finalists = _with_default(ranked, FINALISTS)
            self._final(finalists)
        except (KeyboardInterrupt, Stopped):
            raise interrupted(self.out, len(self.records)) from None
        return finalists

    def _first_rung(self) -> list[int]:
        """Tries the default and new candidates; returns their numbers, the best first."""
        most = _MOST_TIMES * self.plan.candidates[0]  # where runs are short, more of them
        numbers = range(int(min(most, self.space.size)))
        for number in numbers:
            trial = Trial(number, 0, self.seed)
            if number and trial not in self.records and not self._fits(0):
                break
            self._record(trial, self.candidate(number))
        ranked = self._ranked(0, numbers)
        if not ranked:
            reasons = list(dict.fromkeys(r.reason for r in self.records.values() if r.reason))
            raise RunError(f"No candidate could be trained. The first one: {reasons[0]}")
        return ranked

    def candidate(self, number: int) -> Params:
        """Returns a candidate: the default, the hints, one of each other objective, suggestions.

        Suggestions that know no results, and half of the others, are near the default. They depend
        on the candidates before and their results, as the records have them.
        """
        recorded = self.records.get(Trial(number, 0, self.seed))
        if recorded:
            return recorded.params
        if number <= len(self.hints):
            return self.space.default | (dict(self.hints[number - 1]) if number else {})
        before = [r for t, r in self.records.items() if t.stage == 0 and t.number < number]
        history = [(r.params, r.value or 0.0) for r in before]
        objectives = next((d.choices for d in self.space.dimensions if d.key == OBJECTIVE), ())
        turn = number - len(self.hints)
        for attempt in range(_ATTEMPTS):
            seed = self.seed + number + 10_000 * attempt
            near = turn < len(objectives) or number < RANDOM or number % 2 == 1
            fixed = dict(near_default(self.space, seed)) if near else {}
            if turn < len(objectives):
                fixed[OBJECTIVE] = objectives[turn]
            params = suggest(self.space, history, seed, fixed)
            if all(params != known for known, _ in history):
                break
        return params

    def _rung(self, rung: int, ranked: Sequence[int]) -> list[int]:
        """Trains the best for longer; returns them and then the others, the best first."""
        chosen = _with_default(ranked, self.plan.candidates[rung] - (0 in ranked))
        for number in chosen:
            trial = Trial(number, rung, self.seed)
            if trial in self.records or self._fits(rung):
                self._record(trial, self.candidate(number))
        again = self._ranked(rung, chosen)
        tried = {t.number for t in self.records if t.stage == rung}
        return again + [number for number in ranked if number not in tried]

    def _final(self, finalists: Sequence[int]) -> None:
        """Trains the finalists with new seeds; all with one seed before the next."""
        stage = self.plan.rungs
        for seed in range(self.seed + 1, self.seed + 1 + MOST_SEEDS):
            for number in finalists:
                trial = Trial(number, stage, seed)
                if any(r.reason for t, r in self.records.items() if _again(t, trial)):
                    continue  # it failed with another seed, which is enough
                more = len(finalists) if seed > self.seed + self.plan.seeds else 1
                begun = any(t.stage == stage and t.seed == seed for t in self.records)
                if trial not in self.records and not self._fits(stage, 1 if begun else more):
                    return
                self._record(trial, self.candidate(number))

    def _ranked(self, stage: int, numbers: Sequence[int]) -> list[int]:
        records = [self.records.get(Trial(number, stage, self.seed)) for number in numbers]
        done = [r for r in records if r is not None and r.value is not None]
        return [r.trial.number for r in sorted(done, key=lambda r: -_value(r))]

    def _fits(self, stage: int, runs: int = 1) -> bool:
        """Tells whether runs of a stage end in time, if they begin now."""
        extra = [r.wall - r.seconds for r in self.records.values() if not r.reason]
        overhead = sum(extra) / max(1, len(extra))
        return self.plan.fits(stage, self.clock.elapsed, overhead, runs)

    def _record(self, trial: Trial, params: Params) -> None:
        """Runs a trial unless it is recorded, and records it, failed or not.

        Raises:
            Stopped: If a signal asks for it; after the training has ended, the trial is recorded.
        """
        if trial not in self.records:
            with late_signals_stop():
                self._run(trial, params)

    def _run(self, trial: Trial, params: Params) -> None:
        began, folder = self.clock.elapsed, self.out / trial.folder
        begin_part(self._name(trial, params), self.plan.budget - began)
        measured, reason = None, ""
        try:
            with unless_killed(folder.with_suffix(".begun")):
                measured = self.measure(self._config(trial, params), folder)
        except Stopped:
            raise
        except _FAILURES as error:
            reason = str(error).strip() or type(error).__name__
        value = measured.result.metrics[self.metric].value if measured else None
        images, seconds = (measured.images, measured.seconds) if measured else (0, 0.0)
        kept_start = measured is not None and measured.kept_start
        wall, elapsed = self.clock.elapsed - began, self.clock.elapsed
        record = Record(trial, params, value, reason, images, seconds, wall, elapsed, kept_start)
        clean(folder, keep_encoder=trial.stage == self.plan.rungs and value is not None)
        record.save(self.out)
        self.records[trial] = record
        self._show(record)

    def _config(self, trial: Trial, params: Params) -> RunConfig:
        stage = min(trial.stage, self.plan.rungs - 1)
        length = {"epochs": self.plan.epochs[stage], "max_time": self.plan.max_time(stage)}
        settings = as_trial(self.space.settings(params), **length)
        return resolve(settings, {"seed": trial.seed})

    def _name(self, trial: Trial, params: Params) -> str:
        stage = "final" if trial.stage == self.plan.rungs else f"rung {trial.stage + 1}"
        return f"{stage}, candidate {trial.number} ({described(params, self.space)})"

    def _show(self, record: Record) -> None:
        done = [r.value for r in self.records.values() if r.value is not None]
        left = clock(self.plan.budget - self.clock.elapsed)
        found = (
            f"{self.metric} {_value(record):.3g}, best so far {max(done):.3g}"
            if record.value is not None
            else f"failed: {record.reason}"
        )
        self.progress.say(
            f"{self._name(record.trial, record.params)}: {found}; at most {left} left"
        )


def interrupted(out: Path, runs: int) -> KeyboardInterrupt:
    """Returns what ends a search that is interrupted, with how to go on."""
    after = f"{runs} run" if runs == 1 else f"{runs} runs"
    return KeyboardInterrupt(
        f"Interrupted after {after}. Go on with 'ssl-kit tune --resume {out}'."
    )


def _again(one: Trial, other: Trial) -> bool:
    """Tells whether two trials are of one candidate and stage, with different seeds."""
    return one != other and (one.number, one.stage) == (other.number, other.stage)


def _value(record: Record) -> float:
    return float("nan") if record.value is None else record.value


def _with_default(ranked: Sequence[int], others: int) -> list[int]:
    """Returns the default, if it is among them, and the best others."""
    return [n for n in ranked if n == 0] + [n for n in ranked if n != 0][:others]


def described(params: Params, space: Space) -> str:
    """Writes what a candidate changes, such as "objective byol, lr x0.25"; "default" if nothing."""
    return ", ".join(_changes(params, space)) or "default"


def _changes(params: Params, space: Space) -> Iterator[str]:
    for dimension in space.dimensions:
        value: Any = params[dimension.key]
        section, _, name = dimension.key.rpartition(".")
        name = section if name == "name" else name
        if value != dimension.default:
            yield f"{name} {value}" if dimension.choices else f"{name} x{value:.2g}"
