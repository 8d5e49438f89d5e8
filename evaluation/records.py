"""The results of evaluations that are kept below a run."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_atomic
from ..training.run import Run
from .side_by_side import SideBySide


def save_evaluation(
    run: Run, found: SideBySide, *, command: str, data: Mapping[str, Any], shared: int
) -> Path:
    """Writes `evaluations/NAME.json` below a run, and the bootstrap draws to `NAME.npz`.

    Args:
        run: The run that was evaluated.
        found: The results of one evaluation.
        command: What was asked for.
        data: path, fingerprint and domain of the images.
        shared: Number of test groups that were pre-trained on.

    Returns:
        The JSON file.

    Raises:
        RunError: If the folder cannot be written to.
    """
    file = run.folder / "evaluations" / f"{found.evaluation}.json"
    values = {
        "evaluation": found.evaluation,
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "encoder": hashlib.sha256(run.encoder.read_bytes()).hexdigest()[:16],
        "data": dict(data),
        "overlapping_groups": shared,
        "models": {name: result.to_json() for name, result in found.results.items()},
        "gain": asdict(found.gain) if found.gain else None,
        "gains": {metric: asdict(gain) for metric, gain in found.gains.items()},
        "wilcoxon_p": found.p,
    }
    draws = {
        f"{name}/{metric}": values
        for name, result in found.results.items()
        for metric, values in result.draws.items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **draws)
    write_atomic(file.with_suffix(".npz"), buffer.getvalue())
    write_atomic(file, (json.dumps(_plain(values), indent=1) + "\n").encode())
    return file


def _plain(value: Any) -> Any:
    """Returns a value as JSON can hold it: without NaN."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
