"""Fine-tunes an encoder and hands the classifier over, so that plain timm loads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save

from ..core.atomic import write_atomic
from ..core.errors import RunError, UsageError
from ..data.process import seeded
from ..evaluation.classifier import Classifier
from ..evaluation.comparing.arms import FINETUNE
from ..evaluation.finetuning import FineTuned, fine_tune
from ..evaluation.pretrained import Pretrained
from ..evaluation.requests import choose, judged
from ..training.manifest import environment
from ..training.progress import Progress

_TOLERANCE = 1e-4  # of a logit, relative to the largest


def finetune(
    what: str,
    out: Path,
    command: str,
    progress: Progress,
    *,
    assignments: Sequence[str] = (),
    **options: Any,
) -> dict[str, Any]:
    """Trains a classifier from an encoder's weights, tests it once, and writes it.

    Args:
        what: A run folder, "scratch", "imagenet" or a weights file.
        out: New or empty folder.
        command: That was typed, for the record.
        progress: Shows what happens.
        assignments: Options of fine-tuning, such as "epochs=10", and settings of the images, such
            as "data.options.tile=64".
        options: See `judged`.

    Returns:
        What is in `metrics.json`.

    Raises:
        UsageError: If the folder has something in it.
        RunError: If timm loads something else than was trained.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"'{out}' is not empty. Choose another --out.")
    of_images = [text for text in assignments if text.startswith("data.")]
    others = [f"{FINETUNE}.{text}" for text in assignments if text not in of_images]
    evaluation = choose([FINETUNE], others)[FINETUNE]
    found = judged(what, assignments=of_images, **options)
    model, data = found.model, found.data

    def show(done: int, epochs: int, loss: float) -> None:
        progress.say(f"epoch {done}/{epochs}  loss {loss:.4f}")

    parts, dataset = data.parts, data.dataset
    progress.say(f"{len(parts.train)} + {len(parts.val)} labeled images, from {model.loaded}")
    tuned = fine_tune(model, data, evaluation.config, show)
    values = {
        **tuned.result.to_json(),
        "overlapping_groups": found.shared,
        "config": evaluation.config.model_dump(mode="json"),
        "encoder": what,
        "initial_weights": model.loaded,
        "data": {"path": found.path, "fingerprint": dataset.fingerprint()},
        "command": command,
        "versions": environment()["versions"],
    }
    _write(out, model, tuned, dataset.index.classes, dataset.value_range.tolist())
    write_atomic(out / "metrics.json", (json.dumps(values, indent=2) + "\n").encode())
    return values


def _write(
    out: Path, model: Pretrained, tuned: FineTuned, classes: Sequence[str], value_range: Any
) -> None:
    """Writes the folder for `timm.create_model("local-dir:FOLDER")`, and loads it again."""
    encoder, classifier = model.encoder, tuned.classifier
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


def text(values: Mapping[str, Any], out: Path) -> str:
    """Says how good the classifier is, where it is, and how to load it."""
    found = [
        f"  {name:<20}{100 * m['value']:.1f} [{100 * m['low']:.1f}, {100 * m['high']:.1f}]"
        for name, m in values["metrics"].items()
    ]
    warning = (
        [f"WARNING: {values['overlapping_groups']} test groups were pre-trained on; these figures "
         "flatter the run."] if values["overlapping_groups"] else []
    )  # fmt: skip
    return "\n".join(
        [
            *warning,
            f"percent, with 95 % intervals, after {values['epochs']} epochs",
            *found,
            f"The classifier is in {out}. Load it with",
            f'    timm.create_model("local-dir:{out}", pretrained=True)',
        ]
    )
