"""A search from its request to its outcome."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...core.atomic import write_atomic
from ...core.errors import DataError, SslKitError
from ...data.process import show_log
from ...training.device import choose_device
from ...training.engine import Stopped, late_signals_stop
from ...training.locks import exclusive
from ...training.progress import Progress, clock
from ...training.resources import forget_peak_memory, free_memory, peak_memory, resident_memory
from ...training.run import SEARCH
from ...training.setup import arguments_of, resolve
from ...training.work import Work
from ..calibration import measure_statistics
from ..pretrained import from_init
from .choices import Images, choices, fewer_objectives, searched
from .judge import Judge
from .opening import images_and_judges, refuse_other_images, refuse_other_measure, tell
from .outcome import Outcome, Start
from .plan import (
    Clock,
    Cost,
    Plan,
    make_plan,
    refuse_if_too_short,
    seconds_per_step,
    sizes_with_room,
)
from .request import Request
from .sampling import optuna_module
from .search import Search, interrupted
from .space import SIZE, START, Params, Space
from .trials import Record, Silent, Trial, as_trial, read_records, train_and_judge

_PLAN, _OUTCOME, _CLOCK = "plan.json", "tune.json", "seconds.txt"
_MEASURED, _LONGEST = 0.05, 60.0  # share of the budget, and seconds, in which speed is measured
_GB = 10**9
_STEPS = 24  # at most, in which it is measured


def search(request: Request, out: Path, progress: Progress) -> dict[str, Any]:
    """Searches, or goes on with a search; one process at a time works in the folder.

    Args:
        request: What was asked for.
        out: Folder of the search.
        progress: Shows what happens.

    Returns:
        The content of tune.json; docs/tune.md describes it.

    Raises:
        UsageError: If something does not fit together, or the budget is too short.
        RunError: If no candidate can be trained.
        KeyboardInterrupt: If it is interrupted; the message says how to go on.
    """
    optuna_module()  # refuses at once where it is missing
    with exclusive(out):
        request.save(out)
        try:
            return _search(request, out, progress)
        except Stopped:  # while the speed was measured
            raise interrupted(out, 0) from None
        except SslKitError:
            if not (out / _PLAN).is_file():  # nothing was searched: another budget may be tried
                for name in (SEARCH, _CLOCK):
                    (out / name).unlink(missing_ok=True)
                shutil.rmtree(out / "trials", ignore_errors=True)
            raise
        finally:
            show_log(progress.say, progress.warn)  # runs have silenced it


def _search(request: Request, out: Path, progress: Progress) -> dict[str, Any]:
    records = read_records(out)
    timer = Clock(max(_elapsed(out), *(r.elapsed for r in records.values()), 0.0))
    try:
        with Work(progress) as work:
            return _timed(request, out, progress, records, timer, work)
    finally:
        write_atomic(out / _CLOCK, f"{timer.elapsed:.1f}\n".encode())


def _elapsed(out: Path) -> float:
    """Returns the seconds of a search before it was interrupted, 0 if it is new or was killed."""
    try:
        return float((out / _CLOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _timed(
    request: Request,
    out: Path,
    progress: Progress,
    records: dict[Trial, Record],
    timer: Clock,
    work: Work,
) -> dict[str, Any]:
    if not (out / _PLAN).is_file():
        refuse_if_too_short(request.budget, timer.elapsed, Cost(0.0, 0.0))
    work.begin("opening the images")
    known = _plan_of(out)
    images, judges, only = _opened(request, out, progress, records, known)
    judge = judges[request.default.encoder.init]
    work.begin("measuring the default: its speed, and what its trial takes beside the steps")
    free = free_memory()
    cost = Cost(0, 0) if known else _measure(request, images, judge, out / "trials/speed", timer)
    found = choices(request, images)
    sizes = known.image_sizes if known else _sizes(found[SIZE], cost, free, progress)
    found = {**found, SIZE: sizes or found[SIZE]}
    work.begin("judging the untouched start")
    settings = _start_settings(Space.around(request.asked, found, only))
    starts = _starts(images, judges, request, settings, progress)
    taken = {start.image_size for start in starts}
    found = {**found, SIZE: tuple(size for size in found[SIZE] if size in taken)}
    plan = known or _planned(request, images, cost, timer, out, found[SIZE])
    most = plan.candidates[0] if only else plan.candidates[0] // 3
    space = Space.around(request.asked, fewer_objectives(found, request, most), only)
    _say_plan(progress, plan, space)
    judged = {(start.init, start.image_size): start.result for start in starts}
    measure = partial(train_and_judge, judges=judges, starts=judged)
    halving = Search(
        *(out, space, plan, measure, timer, progress, judge.metric),
        seed=request.default.seed,
        records=records,
        hints=_hints(starts, request, judge.metric),
    )
    finalists = halving.run()
    outcome = Outcome(request, images, space, plan, starts, records, finalists, judge.metric, out)
    return _written(outcome, timer.elapsed)


def _opened(
    request: Request,
    out: Path,
    progress: Progress,
    records: dict[Trial, Record],
    known: Plan | None,
) -> tuple[Images, dict[str, Judge], tuple[str, ...]]:
    """Opens the images, and refuses those that cannot be searched or that have changed.

    Returns:
        The images, their judges, and the keys of what is searched, () for everything.
    """
    images, judges = images_and_judges(request)
    refuse_other_images(known, images, out)
    refuse_other_measure(records, out, judges[request.default.encoder.init].metric)
    only = searched(request, images)
    tell(images, request, progress)
    return images, judges, only


def _written(outcome: Outcome, elapsed: float) -> dict[str, Any]:
    """Writes the winner's config.toml and tune.json, and returns the content of the latter."""
    values = outcome.values(elapsed)
    write_atomic(outcome.out / "config.toml", outcome.config().to_toml().encode())
    write_atomic(outcome.out / _OUTCOME, (json.dumps(values, indent=1) + "\n").encode())
    return values


def _plan_of(out: Path) -> Plan | None:
    """Reads the plan of an interrupted search; None if there is none."""
    file = out / _PLAN
    if not file.is_file():
        return None
    try:
        return Plan.of(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"Cannot read '{file}': {error}. Choose another --out.") from error


def _planned(
    request: Request, images: Images, cost: Cost, timer: Clock, out: Path, sizes: tuple[int, ...]
) -> Plan:
    """Makes a plan by what the default costs."""
    _, epoch = images.of_step_and_epoch(request.default.train)
    plan = make_plan(request.budget, timer.elapsed, cost, epoch)
    plan = replace(plan, image_sizes=sizes, images=images.dataset.fingerprint())
    write_atomic(out / _PLAN, (json.dumps(asdict(plan), indent=1) + "\n").encode())
    return plan


def _sizes(sizes: tuple[int, ...], cost: Cost, free: int, progress: Progress) -> tuple[int, ...]:
    """Returns the image sizes that there is memory for, and says which are left out."""
    kept = sizes_with_room(sizes, cost.memory, free)
    if out := [size for size in sizes if size not in kept]:
        needed = cost.memory * (min(out) / sizes[0]) ** 2 / _GB
        progress.warn(
            f"Images of {' and '.join(map(str, out))} px are not tried: training on them would "
            f"take {needed:.0f} GB of memory or more, and {free / _GB:.0f} GB are free. A smaller "
            "--batch-size makes room."
        )
    return kept


def _measure(request: Request, images: Images, judge: Judge, folder: Path, timer: Clock) -> Cost:
    """Trains the default for a moment, and measures its speed and what comes beside the steps.

    Raises:
        UsageError: If the budget is too short, as soon as a step or the end of the training makes
            this certain.
    """
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    forget_peak_memory()
    ends, before, peak = list[float](), resident_memory(), peak_memory()

    def check(trained: float) -> None:
        ends.append(trained)
        beside = max(0.0, time.monotonic() - began - trained)
        refuse_if_too_short(request.budget, timer.elapsed, Cost(0.0, beside))

    step_images, epoch = images.of_step_and_epoch(request.default.train)
    most = min(_MEASURED * request.budget, _LONGEST)
    length = {"epochs": _STEPS * step_images / epoch, "max_time": most}
    config = resolve(as_trial(request.asked, **length))
    judges = {config.encoder.init: judge}
    with late_signals_stop():
        measured = train_and_judge(config, folder, judges, Silent(check))
    shutil.rmtree(folder)
    step = seconds_per_step(ends) or measured.seconds / len(ends)
    overhead = time.monotonic() - began - step * len(ends)
    # On a GPU full memory ends a candidate with an error, but here the system kills the process.
    seen = peak_memory() > peak and choose_device().type == "cpu"
    memory = peak_memory() - before if seen else 0
    return Cost(measured.images / (step * len(ends)), overhead, step, memory)


def _say_plan(progress: Progress, plan: Plan, space: Space) -> None:
    rungs = [
        f"up to {count} candidates for {clock(length)}"
        for count, length in zip(plan.candidates, plan.seconds, strict=True)
    ]
    progress.say(
        f"Searched: {', '.join(d.key for d in space.dimensions)}. Plan: {', '.join(rungs)}, then "
        f"the default and the best with {plan.seeds} new seeds."
    )


def _start_settings(space: Space) -> list[tuple[str, int]]:
    """Returns the initial weights and image sizes of all untouched starts."""
    default = resolve(space.asked).encoder
    choices = {dimension.key: dimension.choices for dimension in space.dimensions}
    inits, sizes = choices.get(START, (default.init,)), choices.get(SIZE, (default.image_size,))
    return [(init, size) for init in inits for size in sizes]


def _hints(starts: Sequence[Start], request: Request, metric: str) -> list[Params]:
    """Returns the image size at which the initial weights of the default are best."""
    default = request.default.encoder
    own = [start for start in starts if start.init == default.init]
    best = max(own, key=lambda start: start.result.metrics[metric].value)
    return [{SIZE: best.image_size}] if best.image_size != default.image_size else []


def _starts(
    images: Images,
    judges: Mapping[str, Judge],
    request: Request,
    settings: Sequence[tuple[str, int]],
    progress: Progress,
) -> list[Start]:
    """Judges the untouched starts, and leaves image sizes out that the encoder cannot take.

    Raises:
        SslKitError: If it cannot take that of the default.
    """
    starts, refused = list[Start](), set[int]()
    for init, size in settings:
        try:
            if size not in refused:
                starts.append(_start(images, judges[init], request, init, size))
        except SslKitError as error:
            if size == request.default.encoder.image_size:
                raise
            refused.add(size)
            progress.warn(f"Images of {size} px are not tried: {error}")
    return [start for start in starts if start.image_size not in refused]


def _start(images: Images, judge: Judge, request: Request, init: str, size: int) -> Start:
    """Judges an untouched start."""
    config, given = request.default, (judge.dataset, images.pool)
    options = arguments_of(config.encoder)
    model = from_init(init, config.encoder.name, size, *given, config.seed, options)
    if init == "scratch":  # as training does, even without learning anything
        measure_statistics(model, *given, images.domain)
    return Start(init, size, judge(model))
