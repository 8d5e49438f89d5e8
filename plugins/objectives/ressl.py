"""Keeps the relations of an image to earlier ones, as a teacher sees them in a hardly altered view.

ReSSL: Relational Self-Supervised Learning with Weak Augmentation,
Zheng, You, Wang, Qian, Zhang, Wang, Xu, 2021. https://arxiv.org/abs/2107.09282
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import FeatureQueue, ema_, frozen_copy, full_precision, mlp


@full_precision
def relations(z: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Logits (B, Q) of the similarity distribution over the queue, section 3.2.

    Args:
        z: (B, D) of unit length.
        queue: (Q, D) earlier embeddings of the teacher, of unit length.
        temperature: tau; the smaller, the sharper.
    """
    return z @ queue.T / temperature


@full_precision
def relation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross entropy H(p2, p1) of the teacher's distribution p2 and the student's p1, section 3.2.

    Args:
        student: (B, Q) logits.
        teacher: (B, Q) logits.

    Returns:
        Scalar mean over rows, at least 0.
    """
    return cross_entropy(student, teacher.softmax(dim=1))


class ReSSLConfig(Config):
    """Temperatures of section 4; the rest as suits encoders of ResNet-18's size and short runs.

    The paper's queue of 131,072 is a tenth of ImageNet; its momentum of 0.999 is for 10^5 steps.
    """

    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 512
    out: Annotated[int, Field(ge=1, description="width of the embeddings")] = 128
    tau_s: Annotated[float, Field(gt=0, description="temperature of the student")] = 0.1
    tau_t: Annotated[float, Field(gt=0, description="temperature of the teacher")] = 0.04
    momentum: Annotated[float, Field(ge=0, le=1, description="of the teacher")] = 0.99
    queue: Annotated[int, Field(ge=1, description="Q, embeddings that are remembered")] = 4096


class ReSSL(Objective):
    """Similar images may stay similar: nothing is pushed away."""

    paper = "https://arxiv.org/abs/2107.09282"
    Config = ReSSLConfig
    example: ClassVar = {"queue": 16}  # the loss rises while random rows leave it

    def __init__(self, encoder: Encoder, config: ReSSLConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.teacher_encoder = frozen_copy(self.encoder)
        self.teacher_projector = frozen_copy(self.projector)
        self.queue = FeatureQueue(config.queue, config.out)

    @classmethod
    def views(cls, config: ReSSLConfig, size: int) -> tuple[View, ...]:
        """The student's view, and the teacher's, which is hardly altered."""
        return (View(size), View(size, policy="weak"))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.projector(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """The student's relations against the teacher's, which then join the queue."""
        strong, weak = batch.views
        z1 = normalize(self.project(self.encoder(strong)), dim=1)
        with torch.no_grad():
            z2 = normalize(self.teacher_projector(self.teacher_encoder(weak)), dim=1)
        queue = self.queue()
        teacher = relations(z2, queue, self.config.tau_t)
        loss = relation_loss(relations(z1, queue, self.config.tau_s), teacher)
        self.queue.push(z2)
        entropy = torch.special.entr(teacher.softmax(dim=1)).sum(dim=1).mean()
        return Output(loss, {"teacher_entropy": entropy})

    def after_step(self, step: int, steps: int) -> None:
        """Moves the teacher."""
        ema_(self.teacher_encoder, self.encoder, self.config.momentum)
        ema_(self.teacher_projector, self.projector, self.config.momentum)
