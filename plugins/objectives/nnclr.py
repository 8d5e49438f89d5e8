"""Contrasts as SimCLR does, but the positive is an image's nearest neighbor among earlier ones.

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
from ...nn import FeatureQueue, all_gather, full_precision, mlp


@full_precision
def nearest(z: Tensor, support: Tensor, known: Tensor) -> Tensor:
    """NN(z, Q), eq. 4: the row (B, D) of the support set that is nearest to each of z.

    Args:
        z: (B, D) of unit length.
        support: (Q, D) of unit length.
        known: (Q,) which of its rows count.
    """
    return support[(z @ support.T).masked_fill(~known, -torch.inf).argmax(dim=1)]


@full_precision
def nnclr_loss(neighbors: Tensor, p: Tensor, temperature: float) -> Tensor:
    """Eq. 3, with predictions in place of the positives' projections.

    Args:
        neighbors: (B, D) nearest neighbors of the projections of one view.
        p: (B, D) predictions from the other view; row i shows the image of neighbor i.
        temperature: tau.

    Returns:
        Scalar mean over rows, at least 0.
    """
    logits = normalize(neighbors, dim=1) @ normalize(p, dim=1).T / temperature  # (B, B)
    return cross_entropy(logits, torch.arange(len(p), device=p.device))


class NNCLRConfig(Config):
    """Defaults of section 4.1; widths for encoders of ResNet-18's size.

    The paper's queue of 98,304 is 8 % of ImageNet. In one that holds the whole set, an image's
    nearest neighbor is mostly itself.
    """

    hidden: Annotated[int, Field(ge=1, description="width inside projector and predictor")] = 512
    out: Annotated[int, Field(ge=1, description="width of the projections")] = 128
    temperature: Annotated[float, Field(gt=0, description="tau of eq. 3")] = 0.1
    queue: Annotated[int, Field(ge=1, description="Q, images to find neighbors among")] = 1024


class NNCLR(Objective):
    """Positives beyond augmentation: the nearest of the images seen last.

    Only rows that were pushed are neighbors, so that no random row ever is a positive; the very
    first batch, before which there are none, looks into its own first views.
    """

    paper = "https://arxiv.org/abs/2104.14548"
    Config = NNCLRConfig

    def __init__(self, encoder: Encoder, config: NNCLRConfig) -> None:
        super().__init__(encoder, config)
        hidden, out = config.hidden, config.out
        self.projector = mlp(encoder.num_features, hidden, hidden, out, last_norm=True)
        self.predictor = mlp(out, hidden, out)
        self.queue = FeatureQueue(config.queue, out)

    @classmethod
    def views(cls, config: NNCLRConfig, size: int) -> tuple[View, ...]:
        """Two views of the same kind."""
        return (View(size), View(size))

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        projections: Tensor = self.projector(features)
        return projections

    def support(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the rows to find neighbors among, and which of them count.

        Args:
            z: (B, out) of unit length; they count while the queue is empty.
        """
        queue, own, pushed = self.queue(), all_gather(z), self.queue.pushed
        filled = torch.arange(len(queue), device=z.device) < pushed
        return torch.cat([queue, own]), torch.cat([filled, (pushed == 0).expand(len(own))])

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Eq. 3 of neighbors of the first views and predictions of the second, and reversed."""
        z = self.project(self.encoder(torch.cat(batch.views)))
        p1, p2 = map(all_gather, self.predictor(z).chunk(2))
        z1, z2 = normalize(z.detach(), dim=1).chunk(2)
        rows, known = self.support(z1)
        near1, near2 = nearest(z1, rows, known), nearest(z2, rows, known)
        tau = self.config.temperature
        loss = (
            nnclr_loss(all_gather(near1), p2, tau) / 2 + nnclr_loss(all_gather(near2), p1, tau) / 2
        )
        self.queue.push(z1)
        return Output(loss, {"neighbor_similarity": cosine_similarity(z1, near1).mean()})
