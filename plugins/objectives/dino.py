"""Self-distillation without labels: crops match a momentum teacher's output for global crops.

Emerging Properties in Self-Supervised Vision Transformers,
Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin, 2021. https://arxiv.org/abs/2104.14294
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import softmax

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    DINOHead,
    Teacher,
    all_gather,
    cosine_momentum,
    cross_view_cross_entropy,
    encode_views,
    full_precision,
    multi_crop,
)


@full_precision
def teacher_distribution(logits: Tensor, center: Tensor, temperature: Tensor) -> Tensor:
    """Centers and sharpens logits (B, K), section 3.1: softmax((logits - center) / temperature)."""
    return softmax((logits - center) / temperature, dim=-1)


class DINOConfig(Config):
    """Defaults of section 3.2 and appendix C, scaled to thousands of images and ResNet-18.

    The paper has 8 to 10 local crops, hidden dimensions of 2048 and 256, 65,536 outputs, a momentum
    of 0.996, and a last layer that is frozen in the first of 100 epochs or more. Gradient clipping
    and weight decay are those of its ViT-S (per tensor there, over all gradients here).
    """

    local_crops: Annotated[
        int, Field(ge=0, description="number of local crops beside the two global ones")
    ] = 4
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    bottleneck_dim: Annotated[
        int, Field(ge=1, description="dimension before the projector's last layer")
    ] = 128
    out_dim: Annotated[int, Field(ge=2, description="number of outputs (K)")] = 1024
    student_temperature: Annotated[
        float, Field(gt=0, description="temperature of the student's softmax (tau_s in eq. 1)")
    ] = 0.1
    warmup_teacher_temperature: Annotated[
        float, Field(gt=0, description="initial temperature of the teacher's softmax (tau_t)")
    ] = 0.04
    teacher_temperature: Annotated[
        float, Field(gt=0, description="temperature of the teacher's softmax after warm-up (tau_t)")
    ] = 0.07
    warmup: Annotated[
        float, Field(gt=0, le=1, description="share of the steps of the temperature's warm-up")
    ] = 0.3
    center_momentum: Annotated[
        float, Field(ge=0, le=1, description="momentum of the center (m in eq. 4)")
    ] = 0.9
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher (lambda)")
    ] = 0.99
    freeze_last_layer: Annotated[
        float, Field(ge=0, description="share of the steps with a frozen last layer")
    ] = 0.02


class DINO(Objective):
    """DINO: the student's output distribution for each crop matches the teacher's for global crops.

    https://arxiv.org/abs/2104.14294, eq. 1 to 4. The teacher is a moving average of the student;
    centering and sharpening of its outputs prevent collapse.
    """

    paper = "https://arxiv.org/abs/2104.14294"
    Config = DINOConfig
    defaults: ClassVar[Mapping[str, Any]] = {
        "optimizer": {"clip": 3.0, "weight_decay": 0.04, "weight_decay_end": 0.4}
    }
    example: ClassVar = {"teacher_temperature": 0.04}  # the loss rises with the temperature
    center: Tensor
    progress: Tensor

    def __init__(self, encoder: Encoder, config: DINOConfig) -> None:
        super().__init__(encoder, config)
        self.projector = DINOHead(
            encoder.num_features, config.hidden_dim, config.bottleneck_dim, config.out_dim
        )
        self.teacher = Teacher(encoder, self.projector)
        self.register_buffer("center", torch.zeros(config.out_dim))
        self.register_buffer("progress", torch.zeros(()))

    @classmethod
    def views(cls, config: DINOConfig, size: int) -> tuple[View, ...]:
        """Two global and `local_crops` local crops."""
        return multi_crop(size, config.local_crops, cut=0.4)

    def project(self, features: Tensor) -> Tensor:
        """Maps features (B, D) to the bottleneck (B, bottleneck_dim)."""
        bottleneck: Tensor = self.projector.layers(features)
        return bottleneck

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss of all crops and updates the center, eq. 4."""
        c, views = self.config, batch.views
        free = (self.progress >= c.freeze_last_layer).to(self.progress)
        start, share = c.warmup_teacher_temperature, (self.progress / c.warmup).clamp(max=1)
        temperature = start + (c.teacher_temperature - start) * share
        logits = self.projector(torch.cat(encode_views(self.encoder, views)), free)
        with torch.no_grad():
            taught = self.teacher.projector(self.teacher.encoder(torch.cat(views[:2])), free)
            targets = teacher_distribution(taught, self.center, temperature)
            mean = all_gather(taught.mean(dim=0, keepdim=True)).mean(dim=0)
            self.center.lerp_(mean, 1 - c.center_momentum)
        entropies = {  # in [0, ln K]; without collapse the first is low and the second high
            "teacher_entropy": torch.special.entr(targets).sum(dim=1).mean(),
            "mean_teacher_entropy": torch.special.entr(targets.mean(dim=0)).sum(),
        }
        logits, targets = logits.view(len(views), -1, c.out_dim), targets.view(2, -1, c.out_dim)
        return Output(cross_view_cross_entropy(logits, targets, c.student_temperature), entropies)

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, with a momentum that rises to 1."""
        self.progress.fill_(step / steps)
        momentum = cosine_momentum(step, steps, self.config.momentum)
        self.teacher.update(self.encoder, self.projector, momentum=momentum)
