"""Starts a run from settings, and continues one from its folder."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..data.counting import plural
from ..data.inspection import AT_START, inspect_dataset
from ..nn.checkpoints import folders_of
from .defaults import explain_defaults
from .engine import create_run, process_index
from .idle import idle_settings
from .layers import merge
from .locks import LOCK
from .loop import train
from .manifest import seen_by_weights
from .other_work import refuse_other_work
from .progress import Progress
from .resume import changes_since, rebuild, warn_of_unfinished
from .run import Run
from .seen import seen_in
from .setup import Setup, build, resolve


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
        UsageError: If `strict` and something looks wrong, or if the objective cannot use the
            images.

    An error before the first step leaves no new folder, unless it says to go on with it.
    """
    config = resolve(*layers)
    if out is None:
        kind = f"{config.domain}-{config.objective.name}-{config.encoder.name}"
        kind = re.sub(r"[^\w.-]+", "-", kind)  # not all systems have ':' in names of files
        out = Path("runs") / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"
    Run.refuse_existing(out)
    refuse_other_work(out, data=config.data.path)
    setup = build(config)  # first: what does not fit together leaves no folder behind
    understood = inspect_dataset(setup.dataset, setup.splits, AT_START)
    if strict:
        understood.refuse_warnings()
    progress.understood(understood)
    if defaults := explain_defaults(merge(*layers), config):
        progress.say(defaults)
    for setting, reason in idle_settings(setup, merge(*layers)).items():
        progress.warn(f"Warning: {setting} changes nothing. {reason}")
    _warn_of_seen_test_images(setup, progress)
    _warn_of_unfinished_start(config.encoder.init)
    is_new = not out.exists()
    run = create_run(out, config)
    run.command = command
    try:
        return run, train(run, setup, progress)
    except BaseException as error:
        if is_new and process_index() == 0 and _leaves_nothing(run, error):
            shutil.rmtree(run.folder, ignore_errors=True)  # its name can be given again
        raise


def _leaves_nothing(run: Run, error: BaseException) -> bool:
    """Tells whether the folder of a new run is of no use after an error.

    An objective may find only in a batch that it cannot use the images, and says so by a
    `UsageError` after some steps, too. A folder that the message tells to go on with is kept, one
    whose list of unreadable images it names, and one that another process works in.
    """
    told = "--resume" in str(error) or str(run.skipped) in str(error)
    if run.last.exists() or (run.folder / LOCK).exists() or told:
        return False
    return run.steps == 0 or isinstance(error, UsageError)


def _warn_of_seen_test_images(setup: Setup, progress: Progress) -> None:
    parts, index = seen_by_weights(setup.config.encoder.init), setup.dataset.index
    seen = {group for p in parts for group in seen_in(p, index, setup.dataset.path).groups}
    if shared := seen & index.group_hashes(setup.splits.test):
        progress.warn(
            f"Warning: the initial weights were trained on {plural(len(shared), 'group')} of the "
            "test part, so that evaluations of this run will be refused. Start from weights that "
            "have not seen the test part."
        )


def _warn_of_unfinished_start(init: str) -> None:
    for folder in folders_of(init):
        if (folder / "config.toml").is_file():
            warn_of_unfinished(Run(folder))


def go_on(folder: Path, progress: Progress) -> tuple[Run, str]:
    """Continues an interrupted run to its end, exactly as if it had not been interrupted.

    Raises:
        RunError: If its images or its initial weights are gone or have changed, or settings that
            the training so far depends on.
    """
    run = Run(folder)
    setup = rebuild(run)
    for change in changes_since(run, setup):
        progress.warn(change)
    if not run.last.is_file():
        progress.say("There is no checkpoint; the training starts anew.")
    return run, train(run, setup, progress)
