"""Starts a run from settings, and continues one from its folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import RunError, UsageError
from ..data.inspection import AT_START, inspect_dataset
from .engine import create_run
from .loop import train
from .progress import Progress
from .run import Run
from .setup import build, resolve


def start(
    layers: Sequence[Mapping[str, Any]],
    out: Path | None,
    progress: Progress,
    command: str = "",
    strict: bool = False,
) -> tuple[Run, str]:
    """Starts a run and trains it to the end.

    Args:
        layers: Nested settings, later ones win.
        out: The run folder; a new one below runs/ if None.
        progress: Shows what happens.
        command: What was asked for, as it is recorded in the manifest.
        strict: Refuse images in which something looks wrong.

    Returns:
        The run and the verdict of the collapse watch.

    Raises:
        UsageError: If `strict` and something looks wrong.
    """
    config = resolve(*layers)
    if out is None:
        kind = f"{config.domain}-{config.objective.name}-{config.encoder.name}".replace("/", "-")
        out = Path("runs") / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"
    Run.refuse_existing(out)
    setup = build(config)  # first: what does not fit together leaves no folder behind
    understood = inspect_dataset(setup.dataset, setup.splits, AT_START)
    if strict and understood.warnings:
        raise UsageError(f"--strict refuses these images. {' '.join(understood.warnings)}")
    progress.understood(understood)
    run = create_run(out, config)
    run.command = command
    return run, train(run, setup, progress)


def go_on(folder: Path, progress: Progress) -> tuple[Run, str]:
    """Continues an interrupted run to its end, exactly as if it had not been interrupted.

    Raises:
        RunError: If its images have changed.
    """
    run = Run(folder)
    setup = build(run.config)
    if run.last.exists():
        before = run.read_json("manifest.json")["data"]["fingerprint"]
        if before != setup.dataset.fingerprint():
            raise RunError(
                f"The images of '{setup.config.data.path}' are not those that '{folder}' was "
                "started with. Restore them, or start a new run with --init "
                f"'{folder}'."
            )
    return run, train(run, setup, progress)
