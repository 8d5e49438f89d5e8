"""Small and large crops match what a slowly moving teacher makes of the large ones; no negatives.

Emerging Properties in Self-Supervised Vision Transformers,
Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin, 2021. https://arxiv.org/abs/2104.14294
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize, softmax

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    all_gather,
    cosine_momentum,
    ema_,
    encode_views,
    frozen_copy,
    full_precision,
    multi_crop,
)


@full_precision
def last_layer(x: Tensor, weight: Tensor) -> Tensor:
    """Cosines (B, K) of a bottleneck (B, D) and the rows of a weight (K, D)."""
    return normalize(x, dim=1) @ normalize(weight, dim=1).T


@full_precision
def teacher_distribution(logits: Tensor, center: Tensor, temperature: Tensor) -> Tensor:
    """Centered and sharpened, section 3.1: softmax over K of (logits - center) / temperature."""
    return softmax((logits - center) / temperature, dim=-1)


@full_precision
def dino_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Cross entropy of the teacher's large views and the student's other views, eq. 1 to 3.

    Args:
        logits: (V, B, K) of the student for all views, the G large ones first.
        targets: (G, B, K) distributions of the teacher for the large views.
        temperature: tau_s of eq. 1.

    Returns:
        Scalar mean over images and the G (V - 1) pairs of views, as in the authors' code.
    """
    log_p = log_softmax(logits / temperature, dim=2)
    losses = -torch.einsum("gbk,vbk->gv", targets, log_p) / logits.shape[1]
    same = torch.eye(*losses.shape, dtype=torch.bool, device=losses.device)
    return losses[~same].mean()


class Head(nn.Module):
    """Three linear layers with GELU and a last layer with rows of unit length; no batch norm."""

    def __init__(self, width: int, hidden: int, bottleneck: int, out: int) -> None:
        super().__init__()
        first, second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
        third = nn.Linear(hidden, bottleneck)
        for layer in (first, second, third):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(first, nn.GELU(), second, nn.GELU(), third)
        self.last = nn.Parameter(normalize(torch.randn(out, bottleneck)))

    def forward(self, x: Tensor, free: Tensor) -> Tensor:
        """Maps (B, D) to logits (B, K); where `free` is 0 the last layer's gradient is zero."""
        return last_layer(self.layers(x), torch.lerp(self.last.detach(), self.last, free))


class DINOConfig(Config):
    """Defaults of section 3.2 and appendix C, scaled to thousands of images and ResNet-18.

    The paper has 8 to 10 small views, widths of 2048 and 256, 65,536 outputs, a momentum of 0.996
    and a last layer that is frozen for the first of 100 epochs or more.
    """

    crops: Annotated[int, Field(ge=0, description="small views beside the two large ones")] = 4
    hidden: Annotated[int, Field(ge=1, description="width inside the head")] = 512
    bottleneck: Annotated[int, Field(ge=1, description="width before the last layer")] = 128
    out: Annotated[int, Field(ge=2, description="K, outputs that are compared")] = 1024
    temperature: Annotated[float, Field(gt=0, description="tau_s of eq. 1")] = 0.1
    teacher_start: Annotated[float, Field(gt=0, description="tau_t at the start")] = 0.04
    teacher_temperature: Annotated[float, Field(gt=0, description="tau_t after warm-up")] = 0.04
    warmup: Annotated[float, Field(gt=0, le=1, description="of tau_t, share of the steps")] = 0.3
    centering: Annotated[float, Field(ge=0, le=1, description="m of eq. 4")] = 0.9
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher at the start")] = 0.99
    freeze: Annotated[float, Field(ge=0, description="of last layer, share of the steps")] = 0.02


class DINO(Objective):
    """Self-distillation without labels."""

    paper = "https://arxiv.org/abs/2104.14294"
    Config = DINOConfig
    center: Tensor
    progress: Tensor

    def __init__(self, encoder: Encoder, config: DINOConfig) -> None:
        super().__init__(encoder, config)
        self.head = Head(encoder.num_features, config.hidden, config.bottleneck, config.out)
        self.teacher_encoder, self.teacher_head = frozen_copy(encoder), frozen_copy(self.head)
        self.register_buffer("center", torch.zeros(config.out))
        self.register_buffer("progress", torch.zeros(()))

    @classmethod
    def views(cls, config: DINOConfig, size: int) -> tuple[View, ...]:
        """Two large views and `crops` small ones."""
        return multi_crop(size, config.crops)

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to the bottleneck (B, D')."""
        bottleneck: Tensor = self.head.layers(features)
        return bottleneck

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The student's views against the teacher's large ones; moves the center, eq. 4."""
        c, views = self.config, batch.views
        free = (self.progress >= c.freeze).to(self.progress)
        warm = (self.progress / c.warmup).clamp(max=1)
        tau_t = c.teacher_start + (c.teacher_temperature - c.teacher_start) * warm
        logits = self.head(torch.cat(encode_views(self.encoder, views)), free)
        with torch.no_grad():
            seen = self.teacher_head(self.teacher_encoder(torch.cat(views[:2])), free)
            targets = teacher_distribution(seen, self.center, tau_t)
            self.center.lerp_(
                all_gather(seen.mean(dim=0, keepdim=True)).mean(dim=0), 1 - c.centering
            )
        entropies = {  # 0 to ln K; the first is low and the second high where all is well
            "teacher_entropy": torch.special.entr(targets).sum(dim=1).mean(),
            "mean_teacher_entropy": torch.special.entr(targets.mean(dim=0)).sum(),
        }
        logits, targets = logits.view(len(views), -1, c.out), targets.view(2, -1, c.out)
        return Output(dino_loss(logits, targets, c.temperature), entropies)

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher towards the student."""
        self.progress.fill_(step / steps)
        momentum = cosine_momentum(step, steps, self.config.momentum)
        ema_(self.teacher_encoder, self.encoder, momentum)
        ema_(self.teacher_head, self.head, momentum)
