"""A fine-tuned classifier as a folder that plain timm loads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save

from ...core.atomic import write_atomic
from ...core.errors import RunError
from ...data.process import seeded
from ...evaluation.classifier import Classifier
from ...evaluation.finetuning import fine_tune
from ...evaluation.finetuning_options import FineTuningConfig
from ...evaluation.pretrained import Pretrained
from ...evaluation.requests import Prepared
from ...training.manifest import environment
from ...training.progress import Progress

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

    model, parts, dataset = prepared.model, prepared.data.parts, prepared.data.dataset
    progress.say(f"{len(parts.train)} + {len(parts.val)} labeled images, from {model.loaded}")
    tuned = fine_tune(model, prepared.data, config, show)
    values = {
        **tuned.result.to_json(),
        "overlapping_groups": prepared.shared,
        "config": config.model_dump(mode="json"),
        "initial_weights": model.loaded,
        "data": {"path": prepared.path, "fingerprint": dataset.fingerprint()},
        "versions": environment()["versions"],
        **facts,
    }
    classes, value_range = dataset.index.classes, dataset.value_range.tolist()
    write_classifier(out, model, tuned.classifier, classes, value_range)
    write_atomic(out / "metrics.json", (json.dumps(values, indent=2) + "\n").encode())
    return values


def write_classifier(
    out: Path, model: Pretrained, classifier: Classifier, classes: Sequence[str], value_range: Any
) -> None:
    """Writes the folder for `timm.create_model("local-dir:FOLDER")`, and loads it again.

    Args:
        out: The folder.
        model: What the classifier was fine-tuned from.
        classifier: The encoder with its head.
        classes: Names of the classes.
        value_range: (C, 2) physical values that map to 0 and 1, as nested lists.

    Raises:
        RunError: If timm loads something else than was trained.
    """
    encoder = model.encoder
    config = {
        "architecture": encoder.name,
        "num_classes": len(classes),
        "num_features": encoder.num_features,
        "model_args": {**encoder.arguments, "num_classes": len(classes)},
        "pretrained_cfg": {
            "input_size": [len(model.channels), model.image_size, model.image_size],
            "mean": model.statistics.mean,
            "std": model.statistics.std,
            "num_classes": len(classes),
        },
        "label_names": list(classes),
        "channels": list(model.channels),
        "value_range": value_range,
    }
    weights = {name: tensor.contiguous() for name, tensor in timm_weights(classifier).items()}
    metadata = {"format": "pt", "channels": ",".join(model.channels)}
    write_atomic(out / "model.safetensors", save(weights, metadata))
    write_atomic(out / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    if timm.is_model(encoder.name.partition(".")[0]):
        _compare_with_timm(out, classifier, config["pretrained_cfg"])


def timm_weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    """Returns the weights under the names of timm's model with a classifier.

    An encoder that timm does not know has its head under "head".
    """
    body = classifier.encoder.body
    name: Any = getattr(body, "pretrained_cfg", {}).get("classifier") or "head"
    head = name if isinstance(name, str) else name[0]
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
