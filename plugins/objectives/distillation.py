"""Feature distillation from another encoder, such as a large one or that of an earlier run.

FitNets: Hints for Thin Deep Nets, Romero et al., 2014 (loss). https://arxiv.org/abs/1412.6550
Knowledge distillation: A good teacher is patient and consistent, Beyer et al., 2021 (student and
teacher see the same view). https://arxiv.org/abs/2106.05237
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import batch_norm, interpolate, mse_loss

from ... import Batch, Config, Encoder, Objective, Output, TrainingInfo, UsageError, View
from ...nn import all_gather, create_encoder, facts_beside, full_precision, load_initial_weights

_log = logging.getLogger("ssl_kit")
_NO_FILE = ("scratch", "imagenet")


@full_precision
def hint_loss(predicted: Tensor, hint: Tensor) -> Tensor:
    """Computes the mean squared error of predicted features, FitNets eq. 3 up to a factor.

    Each dimension of the teacher's features is first standardized over the batch, so that all
    dimensions have the same weight; the loss of predicting the mean is 1.

    Args:
        predicted: (B, D) predictions of the student's regressor.
        hint: (B, D) features of the teacher.
    """
    return mse_loss(predicted, batch_norm(hint, None, None, training=True, eps=1e-8))


class DistillationConfig(Config):
    """The teacher is an architecture with ImageNet or other weights, or the encoder of a run."""

    teacher: Annotated[str, Field(description="architecture, empty for that of the run")] = ""
    weights: Annotated[
        str,
        AfterValidator(lambda path: path if path in _NO_FILE else str(Path(path).resolve())),
        Field(description="weights of the teacher: imagenet, scratch, a run folder or a file"),
    ] = "imagenet"
    image_size: Annotated[
        int, Field(ge=0, description="image size of the teacher in pixels, 0 for that of its run")
    ] = 0


def load_teacher(config: DistillationConfig, channels: int, size: int) -> tuple[Encoder, Any]:
    """Builds the frozen teacher.

    An input layer of another number of channels is replaced by its mean over channels.

    Args:
        config: Options that name the teacher.
        channels: Number of channels of the images.
        size: Image size in pixels, if neither the options nor the run give one.

    Returns:
        The teacher, and the channel mean and std that it expects, or None for random weights.

    Raises:
        UsageError: If the teacher does not exist.
    """
    facts = {} if config.weights in _NO_FILE else facts_beside(config.weights)
    name = config.teacher or facts.get("architecture")
    if not name or not (config.weights in _NO_FILE or Path(config.weights).exists()):
        raise UsageError(
            f"There is no teacher '{config.teacher}' with weights '{config.weights}'. Set "
            "objective.teacher to an architecture, or objective.weights to a finished run's folder."
        )
    pixels = config.image_size or facts.get("image_size", size)
    options = facts.get("options", {}) if name == facts.get("architecture") else {}
    teacher = create_encoder(name, channels, pixels, **options)
    names = facts.get("channels", ["red", "green", "blue"])
    names = names if len(names) == channels else [""] * channels
    _log.info("Teacher %s: %s.", name, load_initial_weights(teacher, config.weights, names))
    expected = (facts["mean"], facts["std"]) if facts else teacher.pretrained_statistics
    return teacher.requires_grad_(False), None if config.weights == "scratch" else expected


class Distillation(Objective):
    """Feature distillation: a linear layer predicts a frozen teacher's features of the same view.

    https://arxiv.org/abs/1412.6550, eq. 3, at the pooled features.
    """

    paper = "https://arxiv.org/abs/1412.6550"
    Config = DistillationConfig
    example: ClassVar = {"teacher": "test_resnet", "weights": "scratch"}
    scaling: Tensor

    def __init__(self, encoder: Encoder, config: DistillationConfig) -> None:
        super().__init__(encoder, config)
        self.teacher, self._expected = load_teacher(config, encoder.channels, encoder.image_size)
        self.projector = nn.Linear(encoder.num_features, self.teacher.num_features)
        identity = torch.tensor([1.0, 0.0])[:, None, None, None].repeat(1, encoder.channels, 1, 1)
        self.register_buffer("scaling", identity)  # gain and offset, (2, C, 1, 1)
        self.train()

    def train(self, mode: bool = True) -> Distillation:
        """Sets the mode of the student; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    @classmethod
    def views(cls, config: DistillationConfig, size: int) -> tuple[View, ...]:
        """One view for student and teacher."""
        return (View(size),)

    def prepare(self, training: TrainingInfo) -> None:
        """Computes the scaling of views, (x - mean) / std, to the statistics of the teacher."""
        used = training.mean, training.std
        mean, std, *expected = (torch.tensor(v) for v in (*used, *(self._expected or used)))
        m, s = (v if len(v) == len(mean) else v.mean().expand_as(mean) for v in expected)
        self.scaling.copy_(torch.stack([std / s, (mean - m) / s])[..., None, None])

    @torch.no_grad()
    def _hint(self, view: Tensor) -> Tensor:
        pixels, (gain, offset) = self.teacher.image_size, self.scaling
        if view.shape[3] != pixels:
            shape = (pixels if view.shape[2] > 1 else 1, pixels)  # signals have height 1
            view = interpolate(view, size=shape, mode="bilinear", antialias=True)
        hint: Tensor = self.teacher(view * gain + offset)
        return hint

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss, and the explained variance of the teacher's features (skill)."""
        view = batch.views[0]
        predicted = self.projector(self.encoder(view))
        loss = hint_loss(all_gather(predicted), all_gather(self._hint(view)))
        return Output(loss, {"skill": 1 - loss.detach()})
