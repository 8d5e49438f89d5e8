"""What may have changed since a run was interrupted, and what may not."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.errors import RunError, SslKitError
from ..data.named import parse_name
from .engine import process_count
from .layers import flatten
from .manifest import DIGEST
from .run import ENCODER, Run
from .setup import Setup, build

_log = logging.getLogger("ssl_kit")

_PLACES = ("data.path", "data.labels")
_FOLLOWED = (
    *_PLACES,
    "train.epochs",
    "train.max_time",
    "train.workers",
    "train.checkpoint_every",
    "train.on_collapse",
    "optimizer.lr",
    "optimizer.final_lr",
    "optimizer.clip",
    "data.max_skip",
)
"""Settings that can change in the middle of a training; after its end only `_PLACES` can.

Images and initial weights that have moved are compared.
"""
_INIT = "encoder.init"


def rebuild(run: Run) -> Setup:
    """Builds the parts of a run anew.

    Args:
        run: Interrupted or finished.

    Raises:
        RunError: If its images, its labels or its initial weights are not where they were.
        SslKitError: If the parts cannot be built for another reason.
    """
    try:
        return build(run.config)
    except SslKitError as error:
        settings = flatten(run.config.model_dump(mode="json"))
        for key in (*_PLACES, _INIT):
            path = parse_name(settings[key])[1]
            if Path(path).is_absolute() and not Path(path).exists() and path in str(error):
                raise RunError(
                    f"{key} of '{run.folder / 'config.toml'}' is '{settings[key]}', which does not "
                    f"exist. {_how_to_find(run, key)}, and go on with 'ssl-kit train --resume "
                    f"{run.folder}'."
                ) from error
        raise


def _how_to_find(run: Run, key: str) -> str:
    """Returns what to do about something that is not where it was."""
    begun = run.last.exists() and (run.folder / "manifest.json").is_file()
    if key == _INIT and begun and DIGEST not in run.read_json("manifest.json"):
        return "Restore it"  # a run of an earlier version cannot tell whether it is the same
    return f"Correct {key} there if it was moved, or restore it"


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
    same_start = _compare_start(run, setup, before)
    old, new = flatten(before["config"]), flatten(run.config.model_dump(mode="json"))
    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    followed = (*(_PLACES if "verdict" in before else _FOLLOWED), *([_INIT] if same_start else []))
    for key in keys if run.last.exists() else ():
        if key not in followed:
            ended = key in _FOLLOWED
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


def _compare_start(run: Run, setup: Setup, before: Mapping[str, Any]) -> bool:
    """Compares the initial weights, and the preprocessing that stands beside them.

    Both are read again: `optimizer.anchor` pulls the encoder to the weights.

    Returns:
        Whether the initial weights are known to be the same; not if they are in no file, and not in
        runs of earlier versions.
    """
    digest, now = before.get(DIGEST, ""), setup.initial_digest
    if not digest or not now or not run.last.exists():
        return False
    init, toml = setup.config.encoder.init, run.folder / "config.toml"
    if digest != now:
        raise RunError(
            f"The weights in '{init}' are not those that '{run.folder}' was started with. Restore "
            f"them, correct encoder.init in '{toml}' if they were moved, or start a new run with "
            f"--init '{run.folder}'."
        )
    if changed := [*_preprocessing_changed(run, setup)]:
        raise RunError(
            f"The encoder.json beside the weights of '{init}' is not the one that '{run.folder}' "
            f"was started with: {', '.join(changed)} differ. Restore it."
        )
    return True


def _preprocessing_changed(run: Run, setup: Setup) -> Iterator[str]:
    """Yields what encoder.json of the run says otherwise; nothing if it cannot be read."""
    try:
        facts = run.read_json(ENCODER)
    except RunError:
        return  # going on writes it anew
    now: dict[str, ArrayLike] = {
        "value_range": setup.dataset.value_range,
        "mean": setup.statistics.mean,
        "std": setup.statistics.std,
    }
    for name, values in now.items():
        if not np.allclose(facts[name], values):
            yield name
    if facts.get("options") != json.loads(json.dumps(setup.encoder.options)):
        yield "options"


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
