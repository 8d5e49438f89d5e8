"""Hands the encoder of a run over to other programs, and checks what it wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import nn

from ssl_kit.core.encoder import create_encoder
from ssl_kit.core.errors import RunError, UnknownNameError, UsageError, explain_write_errors
from ssl_kit.core.pretrained import Pretrained, from_run
from ssl_kit.core.run import Run, write_atomic


def _timm(run: Run, model: Pretrained, out: Path) -> nn.Module:
    """Writes a folder for `timm.create_model("local-dir:FOLDER")`."""
    facts = run.read_json("encoder.json")
    if not timm.is_model(facts["architecture"].partition(".")[0]):
        raise UsageError(
            f"'{facts['architecture']}' is no architecture of timm's. Use --format safetensors."
        )
    pretrained_cfg: dict[str, Any] = {
        "input_size": [len(model.channels), model.image_size, model.image_size],
        "mean": facts["mean"],
        "std": facts["std"],
        "num_classes": 0,
    }
    config = {
        "architecture": facts["architecture"],
        "num_classes": 0,
        "num_features": model.encoder.dim,
        "model_args": model.encoder.arguments,
        "pretrained_cfg": pretrained_cfg,
        "channels": list(model.channels),
        "value_range": facts["value_range"],
    }
    write_atomic(out / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    _copy(run.encoder, out / "model.safetensors")
    loaded: nn.Module = timm.create_model(f"local-dir:{out}", pretrained=True)
    return loaded


def _safetensors(run: Run, model: Pretrained, out: Path) -> nn.Module:
    """Writes `encoder.safetensors` and `encoder.json`."""
    for name in ("encoder.json", "encoder.safetensors"):
        _copy(run.folder / name, out / name)
    facts = run.read_json("encoder.json")
    loaded = create_encoder(facts["architecture"], len(model.channels), model.image_size)
    loaded.body.load_state_dict(load_file(out / "encoder.safetensors"))
    return loaded.body


def _copy(source: Path, target: Path) -> None:
    with explain_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


FORMATS: dict[str, Callable[[Run, Pretrained, Path], nn.Module]] = {
    "safetensors": _safetensors,
    "timm": _timm,
}


def export(run: Run, kind: str, out: Path) -> float:
    """Exports the encoder of a run and compares its features with the run's.

    Args:
        run: A finished or stopped run.
        kind: A key of `FORMATS`.
        out: Folder to write to; it must be new or empty.

    Returns:
        Largest difference of a feature, loaded again from `out` by plain timm.

    Raises:
        UsageError: If the folder has something in it.
        RunError: If the features differ by more than 1e-6.
    """
    if kind not in FORMATS:
        raise UnknownNameError("export format", kind, FORMATS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"'{out}' is not empty. Choose another --out.")
    model = from_run(run)
    loaded = FORMATS[kind](run, model, out).eval()
    model.encoder.eval()
    generator = torch.Generator().manual_seed(0)
    size = (4, len(model.channels), model.image_size, model.image_size)
    x = torch.randn(size, generator=generator)
    with torch.inference_mode():
        gap = float((loaded(x) - model.encoder(x)).abs().max())
    if gap > 1e-6:
        raise RunError(f"The export to '{out}' gives other features (by {gap:.2g}); do not use it.")
    return gap
