"""Online clustering with swapped prediction of cluster assignments, and multi-crop.

Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, 2020. https://arxiv.org/abs/2006.09882
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    FeatureQueue,
    all_gather,
    cosine_scores,
    cross_view_cross_entropy,
    encode_views,
    mlp,
    multi_crop,
    sinkhorn,
)


class SwAVConfig(Config):
    """Defaults of section 4 and appendix A; prototypes and dimensions suit thousands of images.

    The paper has 3000 prototypes for 1000 classes, 6 local crops, and a queue of 3840 images only
    for batches of 256 and after 15 epochs, because early features change fast.
    """

    local_crops: Annotated[
        int, Field(ge=0, description="number of local crops beside the two global ones")
    ] = 4
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128
    num_prototypes: Annotated[int, Field(ge=2, description="number of prototypes (K)")] = 64
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 2)")] = 0.1
    epsilon: Annotated[
        float, Field(gt=0, description="entropy regularization of the codes (epsilon in eq. 3)")
    ] = 0.05
    queue_size: Annotated[
        int, Field(ge=0, description="number of earlier images that join the assignment")
    ] = 0
    freeze_prototypes: Annotated[
        float, Field(ge=0, le=1, description="share of the steps with frozen prototypes")
    ] = 0.02


class SwAV(Objective):
    """SwAV: each crop predicts the cluster assignment (code) of another crop of the image.

    https://arxiv.org/abs/2006.09882, eq. 2 to 6. Codes come from an optimal-transport assignment of
    the batch to prototypes. The prototypes are normalized where they are used, not in place; their
    gradient is zero for the share `freeze_prototypes` of the steps.
    """

    paper = "https://arxiv.org/abs/2006.09882"
    Config = SwAVConfig
    example: ClassVar[dict[str, int]] = {"queue_size": 12}
    progress: Tensor

    def __init__(self, encoder: Encoder, config: SwAVConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden_dim, config.out_dim)
        self.prototypes = nn.Parameter(
            normalize(torch.randn(config.num_prototypes, config.out_dim))
        )
        self.queue = FeatureQueue(config.queue_size, 2 * config.out_dim)  # both global crops
        self.register_buffer("progress", torch.zeros(()))

    @classmethod
    def views(cls, config: SwAVConfig, size: int) -> tuple[View, ...]:
        """Two global and `local_crops` local crops."""
        return multi_crop(size, config.local_crops)

    @torch.no_grad()
    def codes(self, scores: Tensor) -> Tensor:
        """Assigns scores (2, B, K), together with a full queue, and returns codes (2, B, K)."""
        batch = scores.shape[1]
        if self.queue.full:
            past = self.queue().unflatten(1, (2, -1)).transpose(0, 1)  # (2, Q, D)
            scores = torch.cat([scores, cosine_scores(past, self.prototypes)], dim=1)
        return sinkhorn(scores, self.config.epsilon)[:, :batch]

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the swapped prediction over the images of all processes."""
        z = self.projector(torch.cat(encode_views(self.encoder, batch.views)))
        z = torch.stack(z.chunk(len(batch.views)), dim=1)  # (B, V, D)
        free = (self.progress >= self.config.freeze_prototypes).to(self.prototypes)
        prototypes = torch.lerp(self.prototypes.detach(), self.prototypes, free)
        scores = cosine_scores(all_gather(z).transpose(0, 1), prototypes)  # (V, P B, K)
        codes = self.codes(scores[:2])
        self.queue.push(normalize(z[:, :2], dim=2).flatten(1))
        nearest = one_hot(scores[:2].argmax(dim=2), len(prototypes))
        metrics = {
            "code_entropy": torch.special.entr(codes).sum(dim=2).mean(),  # ln K if they are uniform
            "prototypes_in_use": nearest.amax(dim=(0, 1)).float().mean(),
        }
        return Output(cross_view_cross_entropy(scores, codes, self.config.temperature), metrics)

    def after_step(self, step: int, steps: int) -> None:
        """Stores the progress of the training, for the frozen prototypes."""
        self.progress.fill_(step / steps)
