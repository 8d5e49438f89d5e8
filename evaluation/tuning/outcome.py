"""What a search found: the winner, and whether it beats the default and the untouched start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...training.intervals import Estimate
from ...training.layers import merge
from ...training.settings import RunConfig
from ...training.setup import resolve
from ..differences import average_results, paired_difference, verdict
from ..result import Result
from .choices import Images
from .plan import Plan
from .request import Request
from .sampling import importances
from .search import described
from .space import Space
from .trials import Record, Trial, read_result

FORMAT = 3


@dataclass(frozen=True)
class Start:
    """Weights that runs start from, untouched.

    Attributes:
        init: "scratch", "imagenet", a run folder or a weights file.
        image_size: Height and width of the images in pixels.
        result: The judge's.
    """

    init: str
    image_size: int
    result: Result


@dataclass(frozen=True)
class Outcome:
    """A search that has ended.

    Attributes:
        request: What was asked for.
        images: The images.
        space: What was searched.
        plan: How the time was spent.
        starts: The untouched starts.
        records: All trials.
        finalists: Numbers of the default, if it can be trained, and of the best others.
        metric: Name of the metric that candidates are ranked by.
        out: Folder of the search.
    """

    request: Request
    images: Images
    space: Space
    plan: Plan
    starts: Sequence[Start]
    records: Mapping[Trial, Record]
    finalists: Sequence[int]
    metric: str
    out: Path

    @cached_property
    def contenders(self) -> list[int]:
        """The finalists that failed with no new seed; all finalists if each of them did."""
        stage = self.plan.rungs
        failed = {t.number for t, r in self.records.items() if t.stage == stage and r.reason}
        return [n for n in self.finalists if n not in failed] or list(self.finalists)

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds of the final with which all contenders were trained."""
        stage, by_seed = self.plan.rungs, dict[int, set[int]]()
        for trial, record in self.records.items():
            if trial.stage == stage and record.value is not None:
                by_seed.setdefault(trial.seed, set()).add(trial.number)
        return sorted(seed for seed, done in by_seed.items() if done >= set(self.contenders))

    @cached_property
    def finals(self) -> dict[int, Result]:
        """Results of the contenders: means over the new seeds, or those of the last common rung."""
        if self.seeds:
            stage = self.plan.rungs
            return {
                n: average_results(
                    [read_result(self.out, Trial(n, stage, seed)) for seed in self.seeds]
                )
                for n in self.contenders
            }
        done = [t for t, r in self.records.items() if r.value is not None]
        rungs = [{t.stage for t in done if t.number == n} for n in self.contenders]
        stage, seed = max(set.intersection(*rungs) - {self.plan.rungs}), self.request.default.seed
        return {n: read_result(self.out, Trial(n, stage, seed)) for n in self.contenders}

    @cached_property
    def winner(self) -> int:
        """Number of the candidate to use.

        It is the best finalist if its paired gain over the default exceeds the standard error of
        that gain, without labels if the interval of the gain lies above zero; else the default.
        """
        best = max(self.contenders, key=lambda n: self._value(self.finals[n]))
        if 0 not in self.finals or best == 0:
            return best
        kept, default = (self.finals[n].jackknife[self.metric] for n in (best, 0))
        gain = self._difference(self.finals[best], self.finals[0])
        if self.images.labeled:
            return best if gain.value > (kept - default).standard_error else 0
        return best if gain.low > 0 else 0

    @property
    def best_start(self) -> Start:
        """The best of the untouched starts."""
        return max(self.starts, key=lambda start: self._value(start.result))

    def _value(self, result: Result) -> float:
        return result.metrics[self.metric].value

    def _difference(self, result: Result, reference: Result) -> Estimate:
        return paired_difference(result, reference, self.metric)

    def config(self) -> RunConfig:
        """Returns the configuration with which `train` repeats the winner."""
        settings = self.space.settings(self.space_params(self.winner))
        return resolve(merge(settings, {"train": {"epochs": self._epochs(self.winner)}}))

    def space_params(self, number: int) -> Mapping[str, Any]:
        """Returns what a candidate chooses."""
        return self.records[Trial(number, 0, self.request.default.seed)].params

    def _epochs(self, number: int) -> float:
        done = [r for t, r in self.records.items() if t.number == number and r.value is not None]
        longest = max(done, key=lambda record: record.images)
        epoch = self.images.of_step_and_epoch(self.request.default.train)[1]
        return float(f"{longest.images / max(1, epoch):.3g}")

    def values(self, elapsed: float) -> dict[str, Any]:
        """Returns everything as plain values, the content of tune.json."""
        default = self.request.default
        return {
            "format": FORMAT,
            "command": self.request.command,
            "domain": default.domain,
            "encoder": default.encoder.name,
            "images": {
                "fingerprint": self.images.dataset.fingerprint(),
                "trained_on": len(self.images.pool),
                "validation": self._first.images,
                "groups": self._first.groups,
                "kept_out": len(self.images.splits.test),
                "seen_groups": self.images.seen[0],
            },
            "metric": self.metric,
            "labeled": self.images.labeled,
            "trusted": self.request.trust,
            "budget": self.request.budget,
            "seconds": round(elapsed, 1),
            "plan": asdict(self.plan),
            "searched": {d.key: list(d.choices or d.span) for d in self.space.dimensions},
            "starts": [self._start_row(start) for start in self.starts],
            "candidates": list(self._rows()),
            "importance": importances(self.space, self._history()),
            "final_seeds": self.seeds,
            "winner": self.winner,
            "gains": self._gains(),
        }

    @property
    def _first(self) -> Result:
        return next(iter(self.finals.values()))

    def _start_row(self, start: Start) -> dict[str, Any]:
        estimate = _plain(start.result.metrics[self.metric])
        return {"init": start.init, "image_size": start.image_size, "estimate": estimate}

    def _history(self) -> list[tuple[Mapping[str, Any], float]]:
        return [
            (r.params, r.value)
            for t, r in self.records.items()
            if t.stage == 0 and r.value is not None
        ]

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yields a row for each candidate, the best first."""
        numbers = sorted({trial.number for trial in self.records}, key=self._rank, reverse=True)
        for number in numbers:
            records = [r for t, r in sorted(self.records.items(), key=_order) if t.number == number]
            params = self.space_params(number)
            final = self.finals.get(number)
            last = [r for r in records if r.trial.stage == records[-1].trial.stage]
            yield {
                "number": number,
                "params": dict(params),
                "changes": described(params, self.space),
                "rungs": [r.value for r in records if r.trial.stage < self.plan.rungs],
                "images": max(r.images for r in records),
                "seconds": max(r.seconds for r in records),
                "kept_start": [sum(r.kept_start for r in last), len(last)],
                "failed": next((r.reason for r in records if r.reason), ""),
                "final": _plain(final.metrics[self.metric]) if final else None,
            }

    def _rank(self, number: int) -> tuple[float, ...]:
        """Returns what candidates are sorted by: the final first, then the longest run."""
        if number in self.finals:
            return (math.inf, self._value(self.finals[number]))
        done = [r for t, r in self.records.items() if t.number == number and r.value is not None]
        last = max(done, key=lambda record: record.trial.stage, default=None)
        return (last.trial.stage, last.value or 0.0) if last else (-1.0, 0.0)

    def _gains(self) -> dict[str, Any]:
        """Returns paired gains with verdicts.

        Those of the winner over the default and over the best start; where the default is kept,
        that of the best other finalist over it.
        """
        winner, start = self.finals[self.winner], self.best_start
        gains: dict[str, Any] = {}
        if 0 in self.finals and self.winner != 0:
            gains["default"] = self._gain(winner, self.finals[0])
        others = [n for n in self.contenders if n != 0]
        if self.winner == 0 and others:
            best = max(others, key=lambda n: self._value(self.finals[n]))
            gains["other"] = self._gain(self.finals[best], winner) | {"number": best}
        gains["start"] = self._gain(winner, start.result) | {
            "init": start.init,
            "image_size": start.image_size,
        }
        return gains

    def _gain(self, result: Result, reference: Result) -> dict[str, Any]:
        gain = self._difference(result, reference)
        return _plain(gain) | {"verdict": verdict(gain, result.groups)}


def _order(item: tuple[Trial, Record]) -> tuple[int, int, int]:
    return item[0].stage, item[0].number, item[0].seed


def _plain(estimate: Estimate) -> dict[str, float | None]:
    """Returns an estimate as plain values; None where there is no interval."""
    return {k: None if np.isnan(v) else float(v) for k, v in asdict(estimate).items()}
