"""Relational consistency: similarities to a queue of images agree between student and teacher.

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
from ...nn import FeatureQueue, Teacher, batch_norm_groups, full_precision, mlp, random_groups


@full_precision
def relations(z: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Computes logits (B, Q) of the similarity distribution over the queue, section 3.2.

    Args:
        z: (B, D) normalized embeddings.
        queue: (Q, D) normalized embeddings of earlier images by the teacher.
        temperature: Temperature of the softmax (tau); a smaller one sharpens the distribution.
    """
    return z @ queue.T / temperature


@full_precision
def relation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Computes the cross entropy H(p2, p1) of the teacher's p2 and the student's p1, section 3.2.

    Args:
        student: (B, Q) logits.
        teacher: (B, Q) logits.

    Returns:
        Scalar mean over rows, at least 0.
    """
    return cross_entropy(student, teacher.softmax(dim=1))


class ReSSLConfig(Config):
    """Temperatures of section 4; the rest suits encoders of ResNet-18's size and short training.

    The paper has a queue of 131,072 images, a tenth of ImageNet, and a momentum of 0.999.
    """

    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the embeddings")] = 128
    student_temperature: Annotated[
        float, Field(gt=0, description="temperature of the student's softmax (tau_s)")
    ] = 0.1
    teacher_temperature: Annotated[
        float, Field(gt=0, description="temperature of the teacher's softmax (tau_t)")
    ] = 0.04
    momentum: Annotated[
        float, Field(ge=0, le=1, description="momentum of the teacher's moving average (m)")
    ] = 0.99
    queue_size: Annotated[int, Field(ge=1, description="number of embeddings in the queue")] = 4096
    group_size: Annotated[
        int,
        Field(ge=0, description="number of images that share batch statistics; 0 for all of them"),
    ] = 32


class ReSSL(Objective):
    """ReSSL: the student reproduces the teacher's similarities between images.

    https://arxiv.org/abs/2107.09282, section 3.2. Student and teacher each compare a view with a
    queue of earlier images; the teacher sees a weakly augmented view and has the sharper softmax.
    There are no negatives, so that similar images may stay similar. As in MoCo, random groups of
    images share batch statistics (shuffling BN), others for the teacher than for the student.
    """

    paper = "https://arxiv.org/abs/2107.09282"
    Config = ReSSLConfig
    # the loss rises while random rows are replaced
    example: ClassVar = {"queue_size": 16, "group_size": 4}

    def __init__(self, encoder: Encoder, config: ReSSLConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)
        self.teacher = Teacher(encoder, self.projector)
        self.queue = FeatureQueue(config.queue_size, config.out_dim)

    @classmethod
    def views(cls, config: ReSSLConfig, size: int) -> tuple[View, ...]:
        """The student's view, and the teacher's weakly augmented view."""
        return (View(size), View(size, policy="weak"))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss; then the teacher's embeddings join the queue."""
        strong, weak = batch.views
        with batch_norm_groups(self, random_groups(strong, self.config.group_size)):
            z1 = normalize(self.projector(self.encoder(strong)), dim=1)
        with batch_norm_groups(self.teacher, random_groups(weak, self.config.group_size)):
            z2 = normalize(self.teacher(weak), dim=1)
        queue = self.queue()
        student = relations(z1, queue, self.config.student_temperature)
        teacher = relations(z2, queue, self.config.teacher_temperature)
        loss = relation_loss(student, teacher)
        self.queue.push(z2)
        entropy = torch.special.entr(teacher.softmax(dim=1)).sum(dim=1).mean()
        return Output(loss, {"teacher_entropy": entropy})

    def after_step(self, step: int, steps: int) -> None:
        """Updates the teacher."""
        self.teacher.update(self.encoder, self.projector, momentum=self.config.momentum)
