"""Weights and what is said of them: for timm, and as safetensors for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from safetensors.torch import load_file

from ...core.atomic import write_atomic
from ...core.errors import UsageError
from ...evaluation.pretrained import Pretrained
from ...nn.weights import create_encoder
from ...training.run import Run
from .common import Loaded, write_json


def write_timm(run: Run, model: Pretrained, out: Path) -> Loaded:
    """Writes a folder for `timm.create_model("local-dir:FOLDER")`.

    Raises:
        UsageError: If the architecture is not timm's.
    """
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
        "num_features": model.encoder.num_features,
        "model_args": model.encoder.arguments,
        "pretrained_cfg": pretrained_cfg,
        "channels": list(model.channels),
        "value_range": facts["value_range"],
        "domain": facts["domain"],
    }
    write_json(out / "config.json", config)
    write_atomic(out / "model.safetensors", run.encoder.read_bytes())
    return Loaded(timm.create_model(f"local-dir:{out}", pretrained=True).eval())


def write_safetensors(run: Run, model: Pretrained, out: Path) -> Loaded:
    """Writes `encoder.safetensors` and `encoder.json`, those of the run."""
    for name in ("encoder.json", "encoder.safetensors"):
        write_atomic(out / name, (run.folder / name).read_bytes())
    facts = run.read_json("encoder.json")
    name, channels, size = facts["architecture"], len(model.channels), model.image_size
    loaded = create_encoder(name, channels, size, **facts.get("options", {}))
    loaded.body.load_state_dict(load_file(out / "encoder.safetensors"))
    return Loaded(loaded.eval())
