"""encoder.json and manifest.json: how to use the encoder, and where it comes from."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from ..core.discovery import discovery
from ..core.errors import UsageError
from ..data.splits import labeled_parts
from .engine import process_count
from .run import Run
from .setup import Setup

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
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "versions": versions,
        "plugins": {p.name: p.version for p in discovery().plugins if not p.error},
        "hardware": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "git": git.stdout.strip() if git.returncode == 0 else "",
    }


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
            "initial_weights": setup.loaded,
            "config": config.model_dump(mode="json", exclude_none=True),
            "processes": process_count(),
            "batch_size": setup.batch_size,
            "data": images["data"],
            "no_evaluation": _why_no_evaluation(setup),
            **outcome,
            "groups_from": setup.dataset.index.origins.get("group", ""),
            "groups": images["groups"],
            **({"until": images["until"]} if images["until"] else {}),
        },
    )


def _why_no_evaluation(setup: Setup) -> str:
    """Returns why the run cannot be evaluated on its own images, "" if it can."""
    try:
        labeled_parts(setup.dataset.index, setup.splits)
    except UsageError as error:
        return str(error)
    return ""


def _command_before(run: Run) -> str:
    """Returns the command in the manifest so far: a run that is resumed keeps its first one."""
    if not (run.folder / "manifest.json").is_file():
        return ""
    return str(run.read_json("manifest.json").get("command", ""))
