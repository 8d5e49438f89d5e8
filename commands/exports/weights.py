"""Weights and what is said of them: for timm, and as safetensors for anything else."""

from __future__ import annotations

from pathlib import Path

import timm

from ...core.atomic import write_atomic
from ...core.errors import UsageError
from ...evaluation.pretrained import from_facts
from ...evaluation.tuned import classifier_from
from .common import Loaded, Source, timm_config, write_json


def write_timm(source: Source, out: Path) -> Loaded:
    """Writes a folder for `timm.create_model("local-dir:FOLDER")`.

    Raises:
        UsageError: If the architecture is not timm's.
    """
    facts = source.run.read_json("encoder.json")
    if not timm.is_model(facts["architecture"].partition(".")[0]):
        raise UsageError(
            f"'{facts['architecture']}' is no architecture of timm's. Use --format safetensors."
        )
    write_json(out / "config.json", timm_config(facts, source.encoder))
    write_json(out / "encoder.json", source.facts)
    write_atomic(out / "model.safetensors", source.weights)
    return Loaded(timm.create_model(f"local-dir:{out}", pretrained=True).eval())


def write_safetensors(source: Source, out: Path) -> Loaded:
    """Writes `encoder.safetensors`, that of the run, and `encoder.json`."""
    weights = out / "encoder.safetensors"
    write_atomic(weights, source.weights)
    write_json(out / "encoder.json", source.facts)
    encoder = from_facts(out.name, source.facts, weights).encoder.eval()
    return Loaded(classifier_from(encoder, source.classes, weights) if source.classes else encoder)
