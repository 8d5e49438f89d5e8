"""Predicts the cluster of one view of an image from its other views, among them small crops.

Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, 2020. https://arxiv.org/abs/2006.09882
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize, one_hot

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import FeatureQueue, all_gather, encode_views, full_precision, mlp, multi_crop


@full_precision
def prototype_scores(z: Tensor, prototypes: Tensor) -> Tensor:
    """Cosine similarities (..., B, K) of features (..., B, D) and prototypes (K, D)."""
    return normalize(z, dim=-1) @ normalize(prototypes, dim=1).T


@full_precision
def sinkhorn(scores: Tensor, epsilon: float, iterations: int = 3) -> Tensor:
    """Codes that use all prototypes equally, eq. 3 to 5, by Sinkhorn-Knopp in the log domain.

    Args:
        scores: (..., B, K) cosine similarities.
        epsilon: Smoothness of eq. 3; the larger, the nearer to uniform.
        iterations: Normalizations of prototypes and images in turn.

    Returns:
        Codes (..., B, K), q of eq. 2; rows sum to 1.
    """
    log_q = scores / epsilon
    for _ in range(iterations):
        log_q = log_softmax(log_q, dim=-2)  # each prototype gets the same share of the images
        log_q = log_softmax(log_q, dim=-1)
    return log_q.exp()


@full_precision
def swapped_prediction(scores: Tensor, codes: Tensor, temperature: float) -> Tensor:
    """Each view's prediction of the codes of the large views but itself, eq. 2 and 6.

    Args:
        scores: (V, B, K) cosine similarities of all views, the G large ones first.
        codes: (G, B, K) of the large views.
        temperature: tau of eq. 2.

    Returns:
        Scalar mean over images and the G (V - 1) pairs of views, as in the authors' code.
    """
    log_p = log_softmax(scores / temperature, dim=2)
    losses = -torch.einsum("gbk,vbk->gv", codes, log_p) / scores.shape[1]
    same = torch.eye(*losses.shape, dtype=torch.bool, device=losses.device)
    return losses[~same].mean()


class SwAVConfig(Config):
    """Defaults of section 4 and appendix A; prototypes and widths as suit thousands of images.

    The paper has 3000 prototypes for 1000 classes, 6 small views, and a queue of 3840 only for
    batches of 256 and after 15 epochs: in short runs, features of earlier steps mislead.
    """

    crops: Annotated[int, Field(ge=0, description="small views beside the two large ones")] = 4
    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 512
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 128
    prototypes: Annotated[int, Field(ge=2, description="K")] = 64
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 2")] = 0.1
    epsilon: Annotated[float, Field(gt=0, description="of eq. 3")] = 0.05
    queue: Annotated[int, Field(ge=0, description="earlier images that help find codes")] = 0
    freeze: Annotated[
        float, Field(ge=0, le=1, description="share of the steps before prototypes are learned")
    ] = 0.02


class SwAV(Objective):
    """Online clustering with codes swapped between views, and multi-crop.

    Prototypes are normalized where they are used and not in place, so their parameter's length
    means nothing. Until `freeze` their gradient is zero.
    """

    paper = "https://arxiv.org/abs/2006.09882"
    Config = SwAVConfig
    example: ClassVar[dict[str, int]] = {"queue": 12}
    progress: Tensor

    def __init__(self, encoder: Encoder, config: SwAVConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.out)
        self.prototypes = nn.Parameter(normalize(torch.randn(config.prototypes, config.out)))
        self.queue = FeatureQueue(
            config.queue, 2 * config.out
        )  # both large views of an image in a row
        self.register_buffer("progress", torch.zeros(()))

    @classmethod
    def views(cls, config: SwAVConfig, size: int) -> tuple[View, ...]:
        """Two large views and `crops` small ones."""
        return multi_crop(size, config.crops)

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    @torch.no_grad()
    def codes(self, scores: Tensor) -> Tensor:
        """Codes (2, B, K) of scores (2, B, K), found beside those of the queue once it is full."""
        batch = scores.shape[1]
        if self.queue.full:
            past = self.queue().unflatten(1, (2, -1)).transpose(0, 1)  # (2, Q, D)
            scores = torch.cat([scores, prototype_scores(past, self.prototypes)], dim=1)
        return sinkhorn(scores, self.config.epsilon)[:, :batch]

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Swapped prediction over the views of all processes."""
        own = self.project(torch.cat(encode_views(self.encoder, batch.views)))
        own = torch.stack(own.chunk(len(batch.views)), dim=1)  # (B, V, D)
        free = (self.progress >= self.config.freeze).to(self.prototypes)
        prototypes = torch.lerp(self.prototypes.detach(), self.prototypes, free)
        scores = prototype_scores(all_gather(own).transpose(0, 1), prototypes)  # (V, P B, K)
        codes = self.codes(scores[:2])
        self.queue.push(normalize(own[:, :2], dim=2).flatten(1))
        nearest = one_hot(scores[:2].argmax(dim=2), len(prototypes))
        metrics = {
            "code_entropy": torch.special.entr(codes).sum(dim=2).mean(),  # ln K: undecided
            "prototypes_in_use": nearest.amax(dim=(0, 1)).float().mean(),
        }
        return Output(swapped_prediction(scores, codes, self.config.temperature), metrics)

    def after_step(self, step: int, steps: int) -> None:
        """Notes how far the training is."""
        self.progress.fill_(step / steps)
