"""Matches a moving teacher's view, and avoids directions that the embeddings have in common.

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
from ...nn import all_gather, cosine_momentum, ema_, frozen_copy, full_precision, mlp, scaled_size


@full_precision
def moving_covariance(c: Tensor, z: Tensor, beta: float) -> Tensor:
    """C_t = beta C_(t-1) + (1 - beta) z^T z / B, algorithm 1: (D, D), not centered.

    Args:
        c: (D, D) of the step before.
        z: (B, D) embeddings of unit length.
        beta: Share of the old.
    """
    return beta * c + (1 - beta) * z.T @ z / len(z)


@full_precision
def invariance(z1: Tensor, z2: Tensor) -> Tensor:
    """Transformation invariance, algorithm 1: mean of -z1 . z2, in [-1, 1].

    Args:
        z1: (B, D) embeddings of the student, of unit length.
        z2: (B, D) embeddings of the teacher, of unit length; row i shows the image of row i of z1.
    """
    return -(z1 * z2).sum(dim=1).mean()


@full_precision
def covariance_contrast(z: Tensor, c: Tensor) -> Tensor:
    """Covariance contrast, algorithm 1: mean of z^T C z, in [0, 1].

    At its best the embeddings spread evenly and it is 1 / D.

    Args:
        z: (B, D) embeddings of unit length.
        c: (D, D).
    """
    return ((z @ c) * z).sum(dim=1).mean()


class TiCoConfig(Config):
    """The paper's beta and rho; widths for encoders of ResNet-18's size."""

    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 1024
    out: Annotated[int, Field(ge=1, description="D, width of the embeddings")] = 256
    beta: Annotated[float, Field(ge=0, lt=1, description="share of C that each step keeps")] = 0.9
    rho: Annotated[float, Field(ge=0, description="weight of the covariance contrast")] = 8.0
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher at the start")] = 0.99
    student: Annotated[
        float,
        Field(gt=0, le=1, description="side of the student's view, as a share; 1 in the paper"),
    ] = 0.75


class TiCo(Objective):
    """Contrast with the covariance of all earlier embeddings instead of a queue of them.

    C starts at 0 and its trace is 1 - beta^t after t steps; it is divided by that, so that the
    contrast has its full weight from the first step on.

    The student's view has fewer pixels than the teacher's: steps are cheaper, and since crops show
    things larger than the whole image does, fewer pixels show them as large as they will be
    (Touvron et al. 2019, https://arxiv.org/abs/1906.06423, section 3).
    """

    paper = "https://arxiv.org/abs/2206.10698"
    Config = TiCoConfig
    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": {"lr": 4e-3}}
    covariance: Tensor

    def __init__(self, encoder: Encoder, config: TiCoConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)
        self.register_buffer("covariance", torch.zeros(config.out, config.out))

    @classmethod
    def views(cls, config: TiCoConfig, size: int) -> tuple[View, ...]:
        """The student's view, a multiple of 16 pixels, and the teacher's, of the same kind."""
        return (View(scaled_size(size, config.student)), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.projector(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Invariance plus rho times covariance contrast; the gradient also goes through C_t."""
        first, second = batch.views
        z1 = all_gather(normalize(self.project(self.encoder(first)), dim=1))
        with torch.no_grad():
            teacher = self.teacher_projector(self.teacher_encoder(second))
            z2 = all_gather(normalize(teacher, dim=1))
        c = moving_covariance(self.covariance, z1, self.config.beta)
        self.covariance.copy_(c.detach())
        inv, contrast = invariance(z1, z2), covariance_contrast(z1, c / c.trace())
        terms = {"invariance": inv.detach(), "contrast": contrast.detach()}
        return Output(inv + self.config.rho * contrast, terms)

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher; its momentum rises to 1."""
        momentum = cosine_momentum(step, steps, self.config.momentum)
        ema_(self.teacher_encoder, self.encoder, momentum)
        ema_(self.teacher_projector, self.projector, momentum)
