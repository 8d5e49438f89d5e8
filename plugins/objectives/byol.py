"""Predicts a slowly moving teacher's view of an image from another view; no negatives.

Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning,
Grill et al., 2020. https://arxiv.org/abs/2006.07733
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import cosine_momentum, ema_, frozen_copy, full_precision, mlp


@full_precision
def regression_loss(q: Tensor, z: Tensor) -> Tensor:
    """Squared distance of unit vectors, 2 - 2 cos(q, z), eq. 2.

    Args:
        q: (B, D) predictions of the student.
        z: (B, D) projections of the teacher.

    Returns:
        Scalar mean over rows, in [0, 4].
    """
    return (2 - 2 * cosine_similarity(q, z, dim=1)).mean()


class BYOLConfig(Config):
    """Defaults of section 3.3 and appendix A; widths for encoders of ResNet-18's size."""

    hidden: Annotated[int, Field(ge=1, description="width inside projector and predictor")] = 1024
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 256
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher at the start")] = 0.99


class BYOL(Objective):
    """A student predicts its own exponential moving average."""

    paper = "https://arxiv.org/abs/2006.07733"
    Config = BYOLConfig

    def __init__(self, encoder: Encoder, config: BYOLConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.predictor = mlp(config.out, config.hidden, config.out)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)

    @classmethod
    def views(cls, config: BYOLConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Each view's prediction against the teacher's projection of the other, eq. 2."""
        views = torch.cat(batch.views)
        q1, q2 = self.predictor(self.project(self.encoder(views))).chunk(2)
        with torch.no_grad():
            z1, z2 = self.teacher_projector(self.teacher_encoder(views)).chunk(2)
        return Output(regression_loss(q1, z2) + regression_loss(q2, z1))

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher towards the student, eq. 1."""
        tau = cosine_momentum(step, steps, self.config.momentum)
        ema_(self.teacher_encoder, self.encoder, tau)
        ema_(self.teacher_projector, self.projector, tau)
