"""encoder.json and manifest.json: how to use the encoder, and where it comes from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from ..core.discovery import discovery
from ..core.errors import RunError, UsageError
from ..data.splits import labeled_parts
from ..nn.checkpoints import folders_of
from .engine import process_count
from .run import Run
from .seen import path_of
from .setup import Setup

DIGEST = "initial_weights_sha256"
_RECORDED = ("ssl-kit", "torch", "torchvision", "timm", "albumentations", "accelerate", "numpy")


@cache
def environment() -> Mapping[str, Any]:
    """Returns versions, plugins, hardware and git state, as they were at the first call."""
    versions = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "plugins": {p.name: p.version for p in discovery().plugins if not p.error},
        "hardware": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "git": _git_state(),
    }


def _git_state() -> str:
    """Returns the commit of the current folder, "" outside of a repository and without git."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # not installed
        return ""
    return git.stdout.strip() if git.returncode == 0 else ""


def describe(run: Run, setup: Setup, outcome: Mapping[str, Any]) -> None:
    """Writes both files.

    Args:
        run: The folder.
        setup: The parts of the run.
        outcome: steps, seconds, kept and others of a training; empty before its end.
    """
    config, dataset, facts, images = setup.config, setup.dataset, environment(), setup.facts
    command = run.command or _command_before(run)
    run.write_json(
        "encoder.json",
        {
            "architecture": setup.encoder.name,
            "options": setup.encoder.options,
            "arguments": setup.encoder.arguments,
            "channels": list(dataset.channels),
            "value_range": dataset.value_range.tolist(),
            "mean": setup.statistics.mean,
            "std": setup.statistics.std,
            "image_size": config.encoder.image_size,
            "domain": config.domain,
            "objective": config.objective.name,
            **({"kept": outcome["kept"]} if outcome else {}),
            "versions": facts["versions"],
        },
    )
    run.write_json(
        "manifest.json",
        {
            **({"command": command} if command else {}),
            **facts,
            "seed": config.seed,
            **_initial_weights(run, setup),
            "config": config.model_dump(mode="json", exclude_none=True),
            "processes": process_count(),
            "batch_size": setup.batch_size,
            "data": images["data"],
            "no_evaluation": _why_no_evaluation(setup),
            **outcome,
            **({"pooling": setup.encoder.pooling} if setup.encoder.pooling else {}),
            "groups_from": setup.dataset.index.origins.get("group", ""),
            "groups": images["groups"],
            **({"until": images["until"]} if images["until"] else {}),
            "started_from": _seen_before(run, setup),
        },
    )


def _initial_weights(run: Run, setup: Setup) -> dict[str, str]:
    """Returns which weights the training began from, and the digest of their file if it is known.

    A run that goes on from a checkpoint keeps what is recorded, also if nothing is: what stands at
    the place of its initial weights now need not be what it began from.
    """
    digest = _manifest_before(run).get(DIGEST, "") if run.last.is_file() else setup.initial_digest
    return {"initial_weights": setup.loaded, **({DIGEST: digest} if digest else {})}


def _seen_before(run: Run, setup: Setup) -> list[dict[str, Any]]:
    """Returns what the initial weights were trained on.

    A run that is resumed keeps what is recorded, because the run that it began from may be gone.
    One that is begun anew from other weights does not.
    """
    manifest = _manifest_before(run)
    known, digest = manifest.get("started_from"), manifest.get(DIGEST)
    is_other = digest and not run.last.is_file() and digest != setup.initial_digest
    return seen_by_weights(setup.config.encoder.init) if known is None or is_other else list(known)


def seen_by_weights(init: str) -> list[dict[str, Any]]:
    """Returns what initial weights, and each run on the way to them, were trained on.

    Args:
        init: "scratch", "imagenet", a folder or a weights file.

    Returns:
        See `trained_on`; nothing if no manifest.json lies beside the weights.

    Raises:
        RunError: If it is damaged.
    """
    files = [folder / "manifest.json" for folder in folders_of(init)]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return []
    try:
        earlier = trained_on(json.loads(file.read_text(encoding="utf-8")))
        return [short(part) for part in earlier]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(
            f"'{file}' is damaged, so that it is not known which images '{init}' was trained on. "
            "Restore it, or move the weights to another folder."
        ) from error


def trained_on(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns what a run, and each run on the way to its initial weights, was trained on.

    Args:
        manifest: Content of manifest.json.

    Returns:
        Mappings with the hashes of `groups`, and with `until`, where those of them end that were
        trained on in part. See `seen.seen_in` for what these are in another folder.
    """
    return [manifest, *manifest.get("started_from", ())]


def short(part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a later run's manifest keeps of one of `trained_on`.

    Raises:
        KeyError: If it has no groups.
    """
    return {"groups": part["groups"], "until": part.get("until", {}), "path": path_of(part)}


def _why_no_evaluation(setup: Setup) -> str:
    """Returns why the run cannot be evaluated on its own images, "" if it can."""
    try:
        labeled_parts(setup.dataset.index, setup.splits)
    except UsageError as error:
        return str(error)
    return ""


def _command_before(run: Run) -> str:
    """Returns the command in the manifest so far: a run that is resumed keeps its first one."""
    return str(_manifest_before(run).get("command", ""))


def _manifest_before(run: Run) -> dict[str, Any]:
    """Returns the manifest so far, {} if there is none."""
    return run.read_json("manifest.json") if (run.folder / "manifest.json").is_file() else {}
