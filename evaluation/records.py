"""The evaluations of a run, kept below it: numbers as JSON, the jackknife beside them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.atomic import write_atomic
from ..core.errors import DataError
from ..data.opening import DataConfig
from ..training.candidates import is_start
from ..training.json_values import without_nan
from ..training.locks import exclusive
from ..training.run import Run
from .comparing.reading import changed_reading
from .npz_files import npz, read_npz
from .result import Result
from .side_by_side import SideBySide

FOLDER = "evaluations"
_DIGITS, _LONGEST = 8, 40  # of a fingerprint, and characters of a folder, in the name of a file
_WRITTEN = 0.5  # seconds in which both files of an evaluation are written


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


def unlike_run(run: Run | None, config: DataConfig, image_size: int) -> dict[str, Any]:
    """Returns how images are seen otherwise than by the evaluations of the run's own images.

    Args:
        run: The run; None for initial weights.
        config: Settings of the images.
        image_size: Pixels that the encoder is shown.

    Returns:
        "reading" with the reader and its options, "image_size" and "holdout", where they differ.
    """
    facts: dict[str, Any] = {}
    if changed_reading(config, run):
        facts["reading"] = config.model_dump(mode="json", include={"reader", "options"})
    if run and image_size != run.config.encoder.image_size:
        facts["image_size"] = image_size
    if run and config.holdout != run.config.data.holdout:
        facts["holdout"] = config.holdout
    return facts


def save_evaluation(
    run: Run, results: SideBySide, *, command: str, data: Mapping[str, Any], shared: int
) -> Path:
    """Writes an evaluation below its run; an older one on the same images is replaced.

    The file is named after the evaluation: `knn.json` for the images that the run was trained on,
    `knn.tiles-1f3a08c2.json` for others, with the last part of their path and their fingerprint,
    and for images that were read, resized or split otherwise than those of the run.

    Args:
        run: With the encoder that was evaluated.
        results: Of the run's encoder and of its control.
        command: That made it.
        data: Of the labeled images: path, fingerprint and domain, and what `unlike_run` returns.
        shared: Number of test groups that the run was pre-trained on.

    Returns:
        The JSON file. The jackknife, for differences, is beside it in an .npz file of that name.

    Raises:
        RunError: If the folder cannot be written.
    """
    type(run)(run.folder)  # refuses to make a folder anew that vanished meanwhile
    file = run.folder / FOLDER / _name(run, results.evaluation, data)
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
        same = f"{results.evaluation}.*-{_digits(data)}.json"
        for other in file.parent.glob(same):
            if other != file:  # of the same images, whose folder was called otherwise
                other.with_suffix(".npz").unlink(missing_ok=True)
                other.unlink()
    return file


def _name(run: Run, evaluation: str, data: Mapping[str, Any]) -> str:
    """Returns the name of an evaluation's file, which any file system allows."""
    trained_on = run.read_json("manifest.json").get("data", {}).get("fingerprint")
    if data["fingerprint"] == trained_on and not _unlike(data):
        return f"{evaluation}.json"
    folder = re.sub(r"[^A-Za-z0-9_]+", "_", name_of_images(data)).strip("_")[:_LONGEST]
    return f"{evaluation}.{folder or 'images'}-{_digits(data)}.json"


def _unlike(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in ("reading", "image_size", "holdout") if key in data}


def _digits(data: Mapping[str, Any]) -> str:
    """Returns hex digits that change with the images and with how they are read."""
    digits: str = data["fingerprint"]
    if changed := _unlike(data):
        digits = _digest(f"{digits} {json.dumps(changed, sort_keys=True)}".encode())
    return digits[:_DIGITS]


def name_of_images(data: Mapping[str, Any]) -> str:
    """Returns a short name of the images of an evaluation: the last part of their path.

    Where they were read, resized or split otherwise than those of the run, it says how.
    """
    name = Path(data["path"]).name or f"demo of {data['domain']}"
    changed = data.get("reading", {})
    said = [f"{key}={value}" for key, value in changed.get("options", {}).items()]
    if changed.get("reader"):
        said.insert(0, changed["reader"])
    said += [f"{data['image_size']} px"] if "image_size" in data else []
    said += [f"holdout {data['holdout']:g}"] if "holdout" in data else []
    return f"{name} ({', '.join(said)})" if said else name


def load_evaluations(run: Run) -> list[StoredEvaluation]:
    """Reads all evaluations that `save_evaluation` wrote below a run, sorted by name.

    Of each evaluation, that on the images that the run was trained on comes first.

    Raises:
        DataError: If one of them is damaged.
    """
    try:
        return _load_all(run)
    except DataError:  # another process may be replacing it; a reader may not be able to lock
        time.sleep(_WRITTEN)
        return _load_all(run)


def _load_all(run: Run) -> list[StoredEvaluation]:
    encoder = _digest(run.encoder.read_bytes()) if run.encoder.is_file() else ""
    files = [f for f in (run.folder / FOLDER).glob("*.json") if not f.name.startswith(".")]
    return [_load(file, encoder) for file in sorted(files, key=lambda f: f.stem.partition("."))]


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
        name, _, other = file.stem.partition(".")
        images = " --data ITS_IMAGES" if other else ""
        raise DataError(
            f"Cannot read the evaluation '{file}': {reason}. Delete the file, or run "
            f"'ssl-kit evaluate {file.parents[1]} --evaluation {name}{images}' again."
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
    It is left out if only the weights are those of the start; see `is_start`.
    """
    manifest = run.read_json("manifest.json")
    seconds, kept = manifest.get("seconds"), manifest.get("kept")
    records = run.lines(run.metrics)
    if seconds is None or not records:
        return {}
    if kept and not kept["share"] and not is_start(manifest):
        kept = None
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
    plain: dict[str, Any] = without_nan(values)
    return plain


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
