"""The evaluations of a run, kept below it: numbers as JSON, the jackknife beside them."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.atomic import write_atomic
from ..core.errors import DataError
from ..training.locks import exclusive
from ..training.run import Run
from .npz_files import npz, read_npz
from .result import Result
from .side_by_side import SideBySide

FOLDER = "evaluations"


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation that was read from the folder of its run.

    Attributes:
        results: Of the run's encoder and of its control.
        command: That made it.
        time: When it was made, as "2025-01-02T03:04:05".
        data: Of the labeled images: path, fingerprint and domain.
        shared: Number of test groups that the run was pre-trained on.
        stale: Whether the run's encoder has changed since.
    """

    results: SideBySide
    command: str
    time: str
    data: Mapping[str, Any]
    shared: int
    stale: bool


def save_evaluation(
    run: Run, results: SideBySide, *, command: str, data: Mapping[str, Any], shared: int
) -> Path:
    """Writes an evaluation below its run; an older one of the same name is replaced.

    Args:
        run: With the encoder that was evaluated.
        results: Of the run's encoder and of its control.
        command: That made it.
        data: Of the labeled images: path, fingerprint and domain.
        shared: Number of test groups that the run was pre-trained on.

    Returns:
        The JSON file. The jackknife, for differences, is beside it in an .npz file of that name.

    Raises:
        RunError: If the folder cannot be written.
    """
    type(run)(run.folder)  # refuses to make a folder anew that vanished meanwhile
    file = run.folder / FOLDER / f"{results.evaluation}.json"
    arrays = {
        f"{number}/{name}": array
        for number, result in enumerate(results.results.values())
        for name, array in result.to_arrays().items()
    }
    content = npz(arrays)
    values = {
        "evaluation": results.evaluation,
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "encoder": _digest(run.encoder.read_bytes()),
        "arrays": _digest(content),
        "data": dict(data),
        "overlapping_groups": shared,
        **side_by_side_json(results),
    }
    with exclusive(file.parent, wait=60):  # two files that belong together
        write_atomic(file.with_suffix(".npz"), content)
        write_atomic(file, (json.dumps(values, indent=1, allow_nan=False) + "\n").encode())
    return file


def load_evaluations(run: Run) -> list[StoredEvaluation]:
    """Reads all evaluations that `save_evaluation` wrote below a run, sorted by name.

    Raises:
        DataError: If one of them is damaged.
    """
    encoder = _digest(run.encoder.read_bytes()) if run.encoder.is_file() else ""
    return [_load(file, encoder) for file in sorted((run.folder / FOLDER).glob("*.json"))]


def _load(file: Path, encoder: str) -> StoredEvaluation:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        arrays = file.with_suffix(".npz").read_bytes()
        if "draws" in values:
            raise ValueError("it has the bootstrap draws of an earlier version")
        if values["arrays"] != _digest(arrays):
            raise ValueError(f"{file.stem}.npz is not the file that was written with it")
        return StoredEvaluation(
            SideBySide.of(
                values["evaluation"],
                _results(list(values["models"]), arrays),
                values.get("pretraining", {}),
            ),
            values["command"],
            values["time"],
            values["data"],
            values["overlapping_groups"],
            stale=values["encoder"] != encoder,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"Cannot read the evaluation '{file}': {reason}. Delete the file, or run "
            f"'ssl-kit evaluate {file.parents[1]} --evaluation {file.stem}' again."
        ) from error


def _results(names: list[str], content: bytes) -> dict[str, Result]:
    arrays = read_npz(content)
    return {
        name: Result.from_arrays(
            {key.removeprefix(f"{i}/"): a for key, a in arrays.items() if key.startswith(f"{i}/")}
        )
        for i, name in enumerate(names)
    }


def pretraining_of(run: Run) -> dict[str, float]:
    """Returns the seconds and epochs that a run was trained for; empty if it has not ended.

    Where an encoder was chosen, "kept" is how far it is from the start: 0 is the start, 1 the end.
    """
    manifest = run.read_json("manifest.json")
    seconds, kept = manifest.get("seconds"), manifest.get("kept")
    records = run.lines(run.metrics)
    if seconds is None or not records:
        return {}
    share = {"kept": float(kept["share"])} if kept else {}
    return {"seconds": float(seconds), "epochs": float(records[-1]["epoch"]), **share}


def side_by_side_json(results: SideBySide) -> dict[str, Any]:
    """Returns results, gains, verdict and p-value as plain values; None stands for NaN."""
    values = {
        "models": {name: result.to_json() for name, result in results.results.items()},
        "gain": asdict(results.gain) if results.gain else None,
        "gains": {metric: asdict(gain) for metric, gain in results.gains.items()},
        "over_descriptors": asdict(results.over_descriptors) if results.over_descriptors else None,
        "p_value": results.p,
        "verdict": results.verdict if results.gain else None,
        "pretraining": dict(results.pretraining),
    }
    plain: dict[str, Any] = _without_nan(values)
    return plain


def _without_nan(value: Any) -> Any:
    """Replaces numbers that JSON does not have, NaN and infinities, by None."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
