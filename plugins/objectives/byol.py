"""Prediction of a momentum encoder's projection of another view, without negatives.

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
from ...nn import Teacher, cosine_momentum, full_precision, mlp, two_views


@full_precision
def regression_loss(q: Tensor, z: Tensor) -> Tensor:
    """Computes the squared distance of normalized vectors, 2 - 2 cos(q, z), eq. 2.

    Args:
        q: (B, D) predictions of the student.
        z: (B, D) projections of the teacher.

    Returns:
        Scalar mean over rows, in [0, 4].
    """
    return (2 - 2 * cosine_similarity(q, z, dim=1)).mean()


class BYOLConfig(Config):
    """Defaults for trainings of 100 and 300 epochs; dimensions for encoders of ResNet-18's size.

    The authors' code has a momentum of 0.99 for them, and of 0.996 for 1000 epochs (section 3.3).
    Its hidden dimension is 4096.
    """

    hidden_dim: Annotated[
        int, Field(ge=1, description="hidden dimension of projector and predictor")
    ] = 1024
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 256
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher (tau_base)")
    ] = 0.99


class BYOL(Objective):
    """BYOL: an online network predicts the projection of a target network for another view.

    https://arxiv.org/abs/2006.07733, eq. 1 and 2. The target network (teacher) is an exponential
    moving average of the online network, and its momentum rises to 1 over the training.
    """

    paper = "https://arxiv.org/abs/2006.07733"
    Config = BYOLConfig

    def __init__(self, encoder: Encoder, config: BYOLConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)
        self.predictor = mlp(config.out_dim, config.hidden_dim, config.out_dim)
        self.teacher = Teacher(encoder, self.projector)

    @classmethod
    def views(cls, config: BYOLConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 2 for each view's prediction and the teacher's projection of the other."""
        views = torch.cat(batch.views)
        q1, q2 = self.predictor(self.projector(self.encoder(views))).chunk(2)
        z1, z2 = self.teacher(views).chunk(2)
        return Output(regression_loss(q1, z2) + regression_loss(q2, z1))

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, eq. 1."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        self.teacher.update(self.encoder, self.projector, momentum=momentum)
