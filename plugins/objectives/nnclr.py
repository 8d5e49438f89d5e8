"""Contrastive learning whose positives are nearest neighbors in a queue of earlier images.

With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning of Visual Representations,
Dwibedi, Aytar, Tompson, Sermanet, Zisserman, 2021. https://arxiv.org/abs/2104.14548
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import FeatureQueue, all_gather, cosine_scores, full_precision, mlp, two_views


@full_precision
def nearest(z: Tensor, support: Tensor, valid: Tensor) -> Tensor:
    """Finds the nearest neighbor (B, D) of each row of z in the support set, NN(z, Q) in eq. 4.

    Args:
        z: (B, D) normalized projections.
        support: (Q, D) normalized projections of other images.
        valid: (Q,) which rows of the support set may be chosen.
    """
    return support[(z @ support.T).masked_fill(~valid, -torch.inf).argmax(dim=1)]


@full_precision
def nnclr_loss(neighbors: Tensor, p: Tensor, temperature: float) -> Tensor:
    """Computes eq. 3, with predictions in place of the positives' projections.

    Args:
        neighbors: (B, D) nearest neighbors of the projections of one view.
        p: (B, D) predictions from the other view of the same images.
        temperature: Temperature of the softmax (tau).

    Returns:
        Scalar mean over rows, at least 0.
    """
    logits = cosine_scores(neighbors, p) / temperature  # (B, B)
    return cross_entropy(logits, torch.arange(len(p), device=p.device))


class NNCLRConfig(Config):
    """Defaults of section 4.1; the dimensions suit encoders of ResNet-18's size.

    The paper's queue of 98,304 images is 8 % of ImageNet. In a queue that holds the whole dataset
    the nearest neighbor of an image is mostly the image itself.
    """

    hidden_dim: Annotated[
        int, Field(ge=1, description="hidden dimension of projector and predictor")
    ] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the projections")] = 128
    temperature: Annotated[float, Field(gt=0, description="softmax temperature tau (eq. 3)")] = 0.1
    queue_size: Annotated[int, Field(ge=1, description="size of the support set (|Q|)")] = 1024


class NNCLR(Objective):
    """NNCLR: the positive of an image is its nearest neighbor among earlier images.

    https://arxiv.org/abs/2104.14548, eq. 3 and 4. Neighbors are more diverse positives than
    augmentations. Random rows of the queue are never chosen; the first batch, before which the
    queue is empty, takes neighbors among its own first views.
    """

    paper = "https://arxiv.org/abs/2104.14548"
    Config = NNCLRConfig

    def __init__(self, encoder: Encoder, config: NNCLRConfig) -> None:
        super().__init__(encoder, config)
        hidden, out = config.hidden_dim, config.out_dim
        self.projector = mlp(encoder.num_features, hidden, hidden, out, last_norm=True)
        self.predictor = mlp(out, hidden, out)
        self.queue = FeatureQueue(config.queue_size, out)

    @classmethod
    def views(cls, config: NNCLRConfig, size: int) -> tuple[View, ...]:
        """Two views with the default augmentations."""
        return two_views(size)

    def support(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the support set, and which of its rows are valid.

        Args:
            z: (B, out_dim) normalized projections; they are valid while the queue is empty.
        """
        queue, batch, pushed = self.queue(), all_gather(z), self.queue.pushed
        filled = torch.arange(len(queue), device=z.device) < pushed
        return torch.cat([queue, batch]), torch.cat([filled, (pushed == 0).expand(len(batch))])

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes eq. 3 for the neighbors of each view and the predictions of the other."""
        z = self.projector(self.encoder(torch.cat(batch.views)))
        p1, p2 = map(all_gather, self.predictor(z).chunk(2))
        z1, z2 = normalize(z.detach(), dim=1).chunk(2)
        support, valid = self.support(z1)
        near1, near2 = nearest(z1, support, valid), nearest(z2, support, valid)
        first = nnclr_loss(all_gather(near1), p2, self.config.temperature)
        second = nnclr_loss(all_gather(near2), p1, self.config.temperature)
        self.queue.push(z1)
        return Output(
            first / 2 + second / 2, {"neighbor_similarity": cosine_similarity(z1, near1).mean()}
        )
