"""Invariance to a momentum encoder, with a contrast against the embeddings' covariance.

TiCo: Transformation Invariance and Covariance Contrast for Self-Supervised Visual Representation
Learning, Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, 2022. https://arxiv.org/abs/2206.10698
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import Teacher, all_gather, cosine_momentum, full_precision, mlp, scaled_size


@full_precision
def moving_covariance(c: Tensor, z: Tensor, beta: float) -> Tensor:
    """Updates the covariance, C_t = beta C_(t-1) + (1 - beta) z^T z / B, algorithm 1.

    Args:
        c: (D, D) covariance of the previous step, not centered.
        z: (B, D) normalized embeddings.
        beta: Share of the previous covariance.
    """
    return beta * c + (1 - beta) * z.T @ z / len(z)


@full_precision
def invariance(z1: Tensor, z2: Tensor) -> Tensor:
    """Computes the transformation invariance of algorithm 1, the mean of -z1 . z2, in [-1, 1].

    Args:
        z1: (B, D) normalized embeddings of the student.
        z2: (B, D) normalized embeddings of the teacher, of the same images.
    """
    return -(z1 * z2).sum(dim=1).mean()


@full_precision
def covariance_contrast(z: Tensor, c: Tensor) -> Tensor:
    """Computes the covariance contrast of algorithm 1, the mean of z^T C z, in [0, 1].

    Its minimum is 1 / D, for embeddings that are uniform on the sphere.

    Args:
        z: (B, D) normalized embeddings.
        c: (D, D) covariance of trace 1.
    """
    return ((z @ c) * z).sum(dim=1).mean()


class TiCoConfig(Config):
    """Beta and rho of the paper; the dimensions suit encoders of ResNet-18's size."""

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 1024
    out_dim: Annotated[int, Field(ge=1, description="dimension of the embeddings")] = 256
    beta: Annotated[
        float, Field(ge=0, lt=1, description="momentum of the moving covariance (beta)")
    ] = 0.9
    rho: Annotated[float, Field(ge=0, description="weight of the covariance contrast (rho)")] = 8.0
    momentum: Annotated[
        float, Field(ge=0, le=1, description="initial momentum of the teacher (alpha)")
    ] = 0.99
    student_size: Annotated[
        float, Field(gt=0, le=1, description="side of the student's view, share of the image size")
    ] = 0.75


class TiCo(Objective):
    """TiCo: transformation invariance, and contrast with a moving covariance of embeddings.

    https://arxiv.org/abs/2206.10698, algorithm 1. The covariance C_t acts as an implicit memory
    bank, which gets no gradient, as that of MoCo gets none. It starts at 0 and is divided by its
    trace 1 - beta^t, so that the contrast has its full weight from the first step on. The student's
    view has fewer pixels than the teacher's (as many in the paper): steps are cheaper, and objects
    appear in the crop at the scale they have at test time (Touvron et al. 2019,
    https://arxiv.org/abs/1906.06423, section 3).
    """

    paper = "https://arxiv.org/abs/2206.10698"
    Config = TiCoConfig
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"lr": 4e-3}}
    covariance: Tensor

    def __init__(self, encoder: Encoder, config: TiCoConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)
        self.teacher = Teacher(encoder, self.projector)
        self.register_buffer("covariance", torch.zeros(config.out_dim, config.out_dim))

    @classmethod
    def views(cls, config: TiCoConfig, size: int) -> tuple[View, ...]:
        """The student's view, whose side is a multiple of 16 pixels, and the teacher's view."""
        return (View(scaled_size(size, config.student_size)), View(size))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes invariance + rho * contrast, with stop-gradient on C_t."""
        first, second = batch.views
        z1 = all_gather(normalize(self.projector(self.encoder(first)), dim=1))
        z2 = all_gather(normalize(self.teacher(second), dim=1))
        c = moving_covariance(self.covariance, z1.detach(), self.config.beta)
        self.covariance.copy_(c)
        inv, contrast = invariance(z1, z2), covariance_contrast(z1, c / c.trace())
        terms = {"invariance": inv.detach(), "contrast": contrast.detach()}
        return Output(inv + self.config.rho * contrast, terms)

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher, with a momentum that rises to 1."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        self.teacher.update(self.encoder, self.projector, momentum=momentum)
