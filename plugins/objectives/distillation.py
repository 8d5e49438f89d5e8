"""Learns the features of another encoder: a large one, ImageNet's, or that of an earlier run.

FitNets: Hints for Thin Deep Nets, Romero et al., 2014 (the loss). https://arxiv.org/abs/1412.6550
Knowledge distillation: A good teacher is patient and consistent, Beyer et al., 2021 (both see the
very same view). https://arxiv.org/abs/2106.05237
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import batch_norm, interpolate, mse_loss

from ... import Batch, Config, Encoder, Objective, Output, TrainingInfo, UsageError, View
from ...nn import all_gather, create_encoder, full_precision, load_initial_weights

_log = logging.getLogger("ssl_kit")
_NO_FILE = ("scratch", "imagenet")


@full_precision
def hint_loss(predicted: Tensor, hint: Tensor) -> Tensor:
    """Mean squared error of the teacher's features, FitNets eq. 3 but for its scale.

    Each dimension of the hint is standardized over the batch first, so that neither a common mean
    nor a few loud dimensions decide: 1 is the loss of predicting the mean.

    Args:
        predicted: (B, D), of the student, behind the regressor.
        hint: (B, D), of the teacher.
    """
    return mse_loss(predicted, batch_norm(hint, None, None, training=True, eps=1e-8))


class DistillationConfig(Config):
    """Either a teacher with ImageNet or other weights, or the folder of a run as weights."""

    teacher: Annotated[str, Field(description="architecture; '' is that of the run")] = ""
    weights: Annotated[
        str,
        AfterValidator(lambda path: path if path in _NO_FILE else str(Path(path).resolve())),
        Field(description="imagenet, scratch, a run folder or a weights file"),
    ] = "imagenet"
    pixels: Annotated[
        int, Field(ge=0, description="size the teacher sees; 0: its run's, else the view's")
    ] = 0


def load_teacher(config: DistillationConfig, channels: int, size: int) -> tuple[Encoder, Any]:
    """Builds the frozen teacher for `channels` and, if not of a run, for images of `size` pixels.

    A first layer of as many channels is taken as it is; else each channel gets the mean of all.

    Returns:
        The teacher, and mean and std that it expects; None if it has not learned any.

    Raises:
        UsageError: If there is no such teacher.
    """
    path, facts = Path(config.weights), dict[str, Any]()
    if config.weights not in _NO_FILE:  # a file of a run is as good as the run
        found = [p / "encoder.json" for p in (path, *path.parents[:2])]
        facts = next((json.loads(file.read_text()) for file in found if file.is_file()), facts)
    name = config.teacher or facts.get("architecture")
    if not name or not (config.weights in _NO_FILE or path.exists()):
        raise UsageError(
            f"There is no teacher '{config.teacher}' with weights '{config.weights}'. Set "
            "objective.teacher to an architecture, or objective.weights to a finished run's folder."
        )
    teacher = create_encoder(name, channels, config.pixels or facts.get("image_size", size))
    names = facts.get("channels", ["red", "green", "blue"])
    names = names if len(names) == channels else [""] * channels
    _log.info("Teacher %s: %s.", name, load_initial_weights(teacher, config.weights, names))
    expected = (facts["mean"], facts["std"]) if facts else teacher.pretrained_statistics
    return teacher.requires_grad_(False), None if config.weights == "scratch" else expected


class Distillation(Objective):
    """A linear regressor predicts a frozen teacher's features from the student's."""

    paper = "https://arxiv.org/abs/1412.6550"
    Config = DistillationConfig
    example: ClassVar = {"teacher": "test_resnet", "weights": "scratch"}
    scaling: Tensor

    def __init__(self, encoder: Encoder, config: DistillationConfig) -> None:
        super().__init__(encoder, config)
        self.teacher, self._expected = load_teacher(config, encoder.channels, encoder.image_size)
        self.regressor = nn.Linear(encoder.num_features, self.teacher.num_features)
        none = torch.tensor([1.0, 0.0])[:, None, None, None].repeat(1, encoder.channels, 1, 1)
        self.register_buffer("scaling", none)  # gain and offset, (2, C, 1, 1)
        self.train()

    def train(self, mode: bool = True) -> Distillation:
        """Leaves the teacher in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    @classmethod
    def views(cls, config: DistillationConfig, size: int) -> tuple[View, ...]:
        """One view, for both."""
        return (View(size),)

    def prepare(self, training: TrainingInfo) -> None:
        """Learns to turn views, (x - mean) / std, into what the teacher expects."""
        used = training.mean, training.std
        mean, std, *own = (torch.tensor(v) for v in (*used, *(self._expected or used)))
        m, s = (v if len(v) == len(mean) else v.mean().expand_as(mean) for v in own)
        self.scaling.copy_(torch.stack([std / s, (mean - m) / s])[..., None, None])

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to the width of the teacher's features."""
        predicted: Tensor = self.regressor(features)
        return predicted

    @torch.no_grad()
    def _hint(self, view: Tensor) -> Tensor:
        pixels, (gain, offset) = self.teacher.image_size, self.scaling
        if view.shape[3] != pixels:
            shape = (pixels if view.shape[2] > 1 else 1, pixels)  # signals have height 1
            view = interpolate(view, size=shape, mode="bilinear", antialias=True)
        hint: Tensor = self.teacher(view * gain + offset)
        return hint

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The loss of the hint; its skill is the explained share of the hint's variance."""
        view = batch.views[0]
        loss = hint_loss(all_gather(self.project(self.encoder(view))), all_gather(self._hint(view)))
        return Output(loss, {"skill": 1 - loss.detach()})
