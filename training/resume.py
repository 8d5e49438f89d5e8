"""What may have changed since a run was interrupted, and what may not."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import RunError
from .engine import process_count
from .layers import flatten
from .run import Run
from .setup import Setup

_log = logging.getLogger("ssl_kit")

_LENGTH = ("train.epochs", "train.max_time")
_FOLLOWED = (
    *_LENGTH,
    "train.workers",
    "train.checkpoint_every",
    "train.on_collapse",
    "optimizer.lr",
    "optimizer.final_lr",
    "optimizer.clip",
    "data.path",
    "data.labels",
    "data.max_skip",
)
"""Settings that can change in the middle of a training. Images that have moved are compared."""


def changes_since(run: Run, setup: Setup) -> list[str]:
    """Compares a run with its manifest, and returns a sentence on each change that is followed.

    Args:
        run: Interrupted or finished.
        setup: What `build` made from the run's configuration, as it is now.

    Raises:
        RunError: If something has changed that the result depends on.
    """
    if not (run.folder / "manifest.json").is_file():
        return []  # its training had not begun
    before = run.read_json("manifest.json")
    _compare_images(run, setup, before)
    old, new = flatten(before["config"]), flatten(run.config.model_dump(mode="json"))
    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    for key in keys if run.last.exists() else ():
        ended = key in _LENGTH and "verdict" in before
        if ended or key not in _FOLLOWED:
            reason = "its training has ended" if ended else "the training so far depends on it"
            raise RunError(
                f"{key} of '{run.folder / 'config.toml'}' was {old.get(key)} and is {new.get(key)} "
                f"now, but {reason}. Restore it, or start a new run with --init '{run.folder}'."
            )
    sentences = [f"{key} was {old.get(key)}; from here on it is {new.get(key)}." for key in keys]
    return [*sentences, *_compare_processes(run, setup, before)]


def warn_of_unfinished(run: Run) -> None:
    """Says that the training of a run has not ended, so that its encoder is not the final one.

    A folder that was copied without its manifest is taken for one that has.
    """
    if (run.folder / "manifest.json").is_file() and not run.has_ended:
        _log.warning(
            "The training of '%s' has not ended: this is its encoder so far. Go on with 'ssl-kit "
            "train --resume %s'.",
            *(run.folder, run.folder),
        )


def _compare_images(run: Run, setup: Setup, before: Mapping[str, Any]) -> None:
    if before["data"] != setup.facts["data"] or before["groups"] != setup.facts["groups"]:
        raise RunError(
            f"The images of '{setup.config.data.path}' are not those that '{run.folder}' was "
            f"started with. Restore them, or start a new run with --init '{run.folder}'."
        )


def _compare_processes(run: Run, setup: Setup, before: Mapping[str, Any]) -> Iterator[str]:
    processes, now = before["processes"], process_count()
    if not run.last.exists() or processes == now:
        return
    if before["batch_size"] != setup.batch_size:
        raise RunError(
            f"'{run.folder}' was trained by {processes} processes with {before['batch_size']} "
            f"images a batch, which {now} cannot share. Go on with {processes} processes."
        )
    yield f"{processes} processes have trained so far, now {now} do: the result differs slightly."
