"""A fine-tuned classifier as a folder that plain timm loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save

from ...core.atomic import write_atomic
from ...core.errors import RunError
from ...data.named import absolute_weights
from ...data.process import seeded
from ...evaluation.beside_start import keep
from ...evaluation.classifier import Classifier, head_name
from ...evaluation.finetuning import fine_tune
from ...evaluation.finetuning_options import FineTuningConfig
from ...evaluation.leakage import groups_of
from ...evaluation.pretrained import Pretrained
from ...evaluation.requests import Prepared
from ...evaluation.side_by_side import SideBySide
from ...evaluation.tuned import open_run
from ...reports.words import plural
from ...training.manifest import environment, short, trained_on
from ...training.progress import Progress
from .common import timm_config, write_json

_TOLERANCE = 1e-4  # of a logit, relative to the largest


def tune(
    prepared: Prepared,
    config: FineTuningConfig,
    out: Path,
    facts: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """Trains a classifier from an encoder's weights, tests it once, and writes it.

    Args:
        prepared: The encoder and labeled images.
        config: Options of fine-tuning.
        out: New or empty folder.
        facts: What else to record, as plain values.
        progress: Shows what happens.

    Returns:
        What is in `metrics.json`.

    Raises:
        RunError: If timm loads something else than was trained.
    """

    def show(done: int, epochs: int, loss: float) -> None:
        progress.say(f"epoch {done}/{epochs}  loss {loss:.4f}")

    def again(best: int, epochs: int) -> None:
        progress.say(
            f"Epoch {best} of {epochs} was best on the validation images; training again on all "
            f"labeled images outside of the test part for {plural(best, 'epoch')}."
        )

    model, parts, dataset = prepared.model, prepared.data.parts, prepared.data.dataset
    progress.say(f"{len(parts.train)} + {len(parts.val)} labeled images, from {model.loaded}")
    tuned = fine_tune(model, prepared.data, config, show, again)
    values = {
        **tuned.result.to_json(),
        "overlapping_groups": prepared.shared,
        "config": config.model_dump(mode="json"),
        "architecture": model.encoder.name,
        "initial_weights": model.loaded,
        "data": {"path": prepared.path, "fingerprint": dataset.fingerprint()},
        "versions": environment()["versions"],
        **facts,
    }
    encoder = _encoder_facts(prepared)
    if point := tuned.result.details.get("operating_point"):
        encoder["operating_point"] = point
    write_classifier(out, model, tuned.classifier, encoder)
    write_json(out / "encoder.json", encoder)
    write_json(out / "manifest.json", _manifest(prepared, values))
    write_json(out / "metrics.json", {**values, "settings": _settings(prepared, facts)})
    result = SideBySide.of("finetune", {out.resolve().name: tuned.result})
    keep(open_run(out), [result], prepared, facts["command"])
    return values


def _encoder_facts(prepared: Prepared) -> dict[str, Any]:
    """Returns what encoder.json says: that of a run, and the classes."""
    model, dataset = prepared.model, prepared.data.dataset
    return {
        "architecture": model.encoder.name,
        "options": model.encoder.options,
        "arguments": model.encoder.arguments,
        "channels": list(model.channels),
        "value_range": dataset.value_range.tolist(),
        "mean": model.statistics.mean,
        "std": model.statistics.std,
        "image_size": model.image_size,
        "domain": prepared.data.domain.name,
        "classes": list(dataset.index.classes),
    }


def _manifest(prepared: Prepared, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns where the classifier comes from, and hashes of all groups that it learned from."""
    parts, index, run = prepared.data.parts, prepared.data.dataset.index, prepared.run
    groups = index.group_hashes(np.concatenate([parts.train, parts.val]))
    before = trained_on(run.read_json("manifest.json")) if run else []
    kept = ("command", "initial_weights", "versions", "data")
    return {
        **{key: values[key] for key in kept if key in values},
        "groups_from": index.origins.get("group", ""),
        "groups": sorted(groups | groups_of(run)),
        "started_from": [short(part) for part in before],
    }


def _settings(prepared: Prepared, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run that has the same images and encoder."""
    encoder = {
        "name": prepared.model.encoder.name,
        "init": absolute_weights(facts["encoder"]),
        "image_size": prepared.model.image_size,
        "arguments": prepared.model.encoder.options,
    }
    data = prepared.settings.model_dump(exclude_none=True)
    return {"domain": prepared.data.domain.name, "data": data, "encoder": encoder}


def write_classifier(
    out: Path, model: Pretrained, classifier: Classifier, facts: Mapping[str, Any]
) -> None:
    """Writes the folder for `timm.create_model("local-dir:FOLDER")`, and loads it again.

    Args:
        out: The folder.
        model: What the classifier was fine-tuned from.
        classifier: The encoder with its head.
        facts: Content of its encoder.json.

    Raises:
        RunError: If timm loads something else than was trained.
    """
    encoder, config = model.encoder, timm_config(facts, model.encoder)
    weights = {name: tensor.contiguous() for name, tensor in timm_weights(classifier).items()}
    metadata = {"format": "pt", "channels": ",".join(model.channels)}
    write_atomic(out / "model.safetensors", save(weights, metadata))
    write_json(out / "config.json", config)
    if timm.is_model(encoder.name.partition(".")[0]):
        _compare_with_timm(out, classifier, config["pretrained_cfg"])


def timm_weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    """Returns the weights under the names of timm's model with a classifier.

    An encoder that timm does not know has its head under "head".
    """
    body = classifier.encoder.body
    head = head_name(classifier.encoder)
    state = {key: tensor.detach().cpu() for key, tensor in body.state_dict().items()}
    return state | {
        f"{head}.{k}": t.detach().cpu() for k, t in classifier.head.state_dict().items()
    }


def _compare_with_timm(out: Path, classifier: Classifier, cfg: Mapping[str, Any]) -> None:
    with seeded(0):  # its random weights are overwritten
        loaded = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    classifier.eval()
    x = torch.randn((4, *cfg["input_size"]), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = classifier(x)
        gap = float((loaded(x) - expected).abs().max() / expected.abs().max().clamp(min=1))
    if gap > _TOLERANCE:
        raise RunError(
            f"timm loads another classifier from '{out}' than was trained (by {gap:.2g}); do not "
            "use it."
        )
