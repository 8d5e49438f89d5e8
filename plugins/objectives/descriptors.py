"""Prediction of hand-crafted descriptors of the full image from a crop.

The descriptors are histograms of color, local binary patterns and gradients. Hand-crafted features
are targets in Masked Feature Prediction for Self-Supervised Visual Pre-Training, Wei, Fan, Xie, Wu,
Yuille, Feichtenhofer, 2021, https://arxiv.org/abs/2112.09133, for masked patches, and after
clustering in Boosting Self-Supervised Learning via Knowledge Transfer, Noroozi, Vinjimoor, Favaro,
Pirsiavash, 2018, https://arxiv.org/abs/1805.00385.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import batch_norm, mse_loss

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import (
    all_gather,
    full_precision,
    image_descriptors,
    number_of_descriptors,
    scaled_size,
)


@full_precision
def descriptor_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Computes the mean squared error against descriptors that are standardized over the batch.

    A constant in the variance keeps bins that are almost always empty from being amplified.

    Args:
        predicted: (B, D) predictions.
        target: (B, D) from `image_descriptors`.
    """
    return mse_loss(predicted, batch_norm(target, None, None, training=True, eps=0.02**2))


class DescriptorsConfig(Config):
    """Options of the crop."""

    crop: Annotated[
        float, Field(gt=0, le=1, description="side of the crop, as a share of the image size")
    ] = 0.75


class Descriptors(Objective):
    """Descriptor prediction: a linear layer predicts histograms of the full image from a crop.

    After https://arxiv.org/abs/2112.09133, which predicts histograms of oriented gradients of
    masked patches. Crops are not augmented, because color and brightness are among the targets.
    They have fewer pixels than the image, so that objects appear in the crop at the scale they have
    at test time (Touvron et al. 2019, https://arxiv.org/abs/1906.06423, section 3).
    """

    paper = "https://arxiv.org/abs/2112.09133"
    Config = DescriptorsConfig

    def __init__(self, encoder: Encoder, config: DescriptorsConfig) -> None:
        super().__init__(encoder, config)
        self.head = nn.Linear(encoder.num_features, number_of_descriptors(encoder.channels))

    @classmethod
    def views(cls, config: DescriptorsConfig, size: int) -> tuple[View, ...]:
        """A weakly augmented crop, and the full image."""
        return (View(scaled_size(size, config.crop), policy="weak"), View(size, policy="eval"))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the loss over the images of all processes."""
        crop, whole = batch.views
        predicted, target = self.head(self.encoder(crop)), image_descriptors(whole)
        return Output(descriptor_loss(all_gather(predicted), all_gather(target)))
