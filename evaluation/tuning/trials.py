"""One training of a candidate: run, judged, recorded, and what is kept of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...core.atomic import write_atomic
from ...core.errors import DataError, RunError
from ...training.candidates import START, is_start
from ...training.engine import create_run
from ...training.layers import merge
from ...training.loop import train
from ...training.progress import Progress
from ...training.run import Run
from ...training.settings import RunConfig
from ...training.setup import build
from ...training.start import go_on
from ...training.work import note_progress
from ..pretrained import from_run
from ..result import Result
from .judge import Judge

_RECORD, _RESULT = "trial.json", "judged.npz"
_MOST_KILLS = 2  # of the process during one trial
_NO_STARTS: Mapping[tuple[str, int], Result] = MappingProxyType({})


@dataclass(frozen=True)
class Trial:
    """A training of a candidate.

    Attributes:
        number: Number of the candidate; 0 is the default.
        stage: Number of the rung; the stage after the last rung is the final.
        seed: Seed of the run.
    """

    number: int
    stage: int
    seed: int

    @property
    def folder(self) -> Path:
        """Folder of its run, below that of the search."""
        return Path("trials") / f"{self.number:03d}-{self.stage}-{self.seed}"


@dataclass(frozen=True)
class Record:
    """What is known of a trial that has ended.

    Attributes:
        trial: Which one.
        params: The candidate.
        value: Metric on the validation part; None if the trial failed.
        reason: Why it failed; "" if it did not.
        images: Number of images that were trained on.
        seconds: Seconds of training.
        wall: Seconds of everything.
        elapsed: Seconds of the search at its end.
        kept_start: Whether its start was handed back, because the training did not make it better.
    """

    trial: Trial
    params: Mapping[str, Any]
    value: float | None
    reason: str = ""
    images: int = 0
    seconds: float = 0.0
    wall: float = 0.0
    elapsed: float = 0.0
    kept_start: bool = False

    def save(self, out: Path) -> None:
        """Writes it to the folder of its run."""
        text = json.dumps(asdict(self), indent=1) + "\n"
        write_atomic(out / self.trial.folder / _RECORD, text.encode())


@dataclass(frozen=True)
class Measured:
    """What a training gave.

    Attributes:
        result: The judge's result.
        images: Number of images trained on, counted in every epoch.
        seconds: Seconds of training, without the measurements at its start and end.
        kept_start: Whether its start was handed back.
    """

    result: Result
    images: int
    seconds: float
    kept_start: bool = False


def read_records(out: Path) -> dict[Trial, Record]:
    """Reads the records of all trials that have ended.

    Raises:
        DataError: If one is damaged, or of a version that judged by all labels alone.
    """
    records = {}
    for file in sorted(out.glob(f"trials/*/{_RECORD}")):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            trial = Trial(**values.pop("trial"))
            records[trial] = Record(trial, **values)
            if (file.parent / "validation.npz").is_file():
                raise ValueError("an earlier version judged it by all labels alone")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"Cannot read '{file}': {error}. Delete its folder, and the trial is repeated."
            ) from error
    return records


def read_result(out: Path, trial: Trial) -> Result:
    """Reads the judge's result of a trial."""
    return Result.load(out / trial.folder / _RESULT)


def as_trial(settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Returns settings for a trial: what it hands back is what training with them hands back.

    The validation groups are kept out of pre-training and of the choice between start, checkpoints
    and interpolations. A collapse ends the trial.

    Args:
        settings: Nested settings of the candidate.
        more: Further settings of the training loop.
    """
    loop = {"on_collapse": "stop", **more}
    return merge(settings, {"data": {"keep_out": "val"}, "train": loop})


class Silent(Progress):
    """Shows nothing but steps: a search has its own progress, and runs would repeat themselves.

    Args:
        check: Is told the seconds of training after each step.
    """

    def __init__(self, check: Callable[[float], None] = lambda elapsed: None) -> None:
        super().__init__(quiet=True)
        self._check = check

    def warn(self, text: str) -> None:
        """Shows no warning."""

    def step(self, step: int, steps: int, max_time: float | None, elapsed: float) -> None:
        """Notes the step as progress of the search."""
        self._check(elapsed)
        if steps:
            note_progress(step, steps, "step")


def train_and_judge(
    config: RunConfig,
    folder: Path,
    judges: Mapping[str, Judge],
    progress: Progress | None = None,
    starts: Mapping[tuple[str, int], Result] = _NO_STARTS,
) -> Measured:
    """Trains a run, or continues an interrupted one, and judges its encoder.

    Args:
        config: Of the run.
        folder: Of the run.
        judges: By initial weights, what judges its encoder.
        progress: Is told of the training; a new `Silent` if None.
        starts: What the judge said of untouched starts, by initial weights and image size.

    Raises:
        SslKitError: If it cannot be trained.
    """
    progress = progress or Silent()
    if (folder / "checkpoints" / "last.pt").is_file():
        run = go_on(folder, progress)[0]
    else:
        shutil.rmtree(folder, ignore_errors=True)
        setup = build(config)
        run = create_run(folder, config)
        train(run, setup, progress)
    manifest = run.read_json("manifest.json")
    kept_start = manifest["kept"] == START.facts()
    key = (config.encoder.init, config.encoder.image_size)
    start = starts.get(key) if is_start(manifest) else None
    result = judges[config.encoder.init](from_run(run)) if start is None else start
    result.save(folder / _RESULT)
    per_step = manifest["batch_size"] * run.config.train.accumulate
    return Measured(result, manifest["steps"] * per_step, _seconds(run, per_step), kept_start)


@contextmanager
def unless_killed(mark: Path) -> Iterator[None]:
    """Keeps a file while a trial is under way, which only a process that is killed leaves behind.

    Linux kills a process without a warning when memory is full. A search that began the same trial
    whenever it is resumed would never end.

    Args:
        mark: The file.

    Raises:
        RunError: If the process was killed twice in this trial.
    """
    kills = len(mark.read_bytes()) if mark.is_file() else 0
    try:
        if kills >= _MOST_KILLS:
            raise RunError(
                f"The process was killed {kills} times during this run, perhaps because memory "
                "was full; a smaller batch needs less."
            )
        write_atomic(mark, b"x" * (kills + 1))
        yield
    finally:
        mark.unlink(missing_ok=True)


def _seconds(run: Run, per_step: int) -> float:
    """Returns the seconds in which a run took its steps, from its records of the speed."""
    total, before = 0.0, 0
    for line in run.lines(run.metrics):
        total += (line["step"] - before) * per_step / line["images_per_second"]
        before = line["step"]
    return total


def clean(folder: Path, keep_encoder: bool) -> None:
    """Removes the checkpoints of a run, and its encoder where it is not wanted."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    if not keep_encoder:
        (folder / "encoder.safetensors").unlink(missing_ok=True)
