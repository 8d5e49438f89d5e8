"""The folder of a fine-tuned classifier, which can stand wherever that of a run does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from ..core.config import validate
from ..core.encoder import Encoder
from ..core.errors import RunError
from ..training.run import Run
from ..training.settings import RunConfig
from .classifier import Classifier, head_name
from .pretrained import Pretrained, from_run

RESULT, WEIGHTS = "metrics.json", "model.safetensors"


class TunedRun(Run):
    """What `ssl-kit finetune` wrote: an encoder like that of a run, and a head for its classes.

    Its `config` has the images and the encoder; what the encoder was fine-tuned from is its
    `encoder.init`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__(folder)
        self.encoder = self.folder / WEIGHTS

    def _read_config(self) -> RunConfig:
        return validate(RunConfig, self.read_json(RESULT)["settings"])

    @property
    def has_ended(self) -> bool:
        """Always, since `finetune` writes the folder at its end."""
        return True

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return tuple(self.read_json("encoder.json")["classes"])

    @property
    def grades(self) -> tuple[str, ...]:
        """Names of the classes from the lowest to the highest grade; () if they are not ordered."""
        return tuple(self.read_json(RESULT).get("grades", ()))

    @property
    def operating_point(self) -> dict[str, Any]:
        """The positive one of two classes, "positive", and its "threshold"; {} of more classes."""
        return dict(self.read_json(RESULT).get("operating_point", {}))


def is_run(folder: Path) -> bool:
    """Tells whether a folder is that of a run or of a fine-tuned classifier, whole or damaged."""
    return any((folder / name).is_file() for name in ("config.toml", RESULT))


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Opens the folder of a run or of a fine-tuned classifier.

    Raises:
        UsageError: If it is neither.
    """
    parts = (RESULT, WEIGHTS, "encoder.json")
    tuned = all((Path(folder) / name).is_file() for name in parts)
    return TunedRun(folder) if tuned else Run(folder)


def load_classifier(run: TunedRun) -> tuple[Pretrained, Classifier]:
    """Loads a fine-tuned classifier, in evaluation mode.

    Raises:
        RunError: If the weights are not those of a classifier.
    """
    model = from_run(run)
    return model, classifier_from(model.encoder, run.classes, run.encoder)


def classifier_from(encoder: Encoder, classes: Sequence[str], weights: Path) -> Classifier:
    """Puts the head of a file of weights on an encoder; both in evaluation mode.

    Raises:
        RunError: If the file has no head for these classes.
    """
    classifier, name = Classifier(encoder, len(classes)), head_name(encoder)
    state: dict[str, Any] = load_file(weights)
    try:
        head = {key: state[f"{name}.{key}"] for key in ("weight", "bias")}
        classifier.head.load_state_dict(head)
    except (KeyError, RuntimeError) as error:
        raise RunError(
            f"'{weights}' has no head for {len(classes)} classes under '{name}'. "
            "Fine-tune again with 'ssl-kit finetune'."
        ) from error
    return classifier.eval()
