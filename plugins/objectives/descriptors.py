"""Tells from a crop what the whole image is like in numbers: colors, patterns, gradients.

What is predicted are classical descriptors, as in Masked Feature Prediction for Self-Supervised
Visual Pre-Training, Wei, Fan, Xie, Wu, Yuille, Feichtenhofer, 2021, https://arxiv.org/abs/2112.09133
and, clustered, in Boosting Self-Supervised Learning via Knowledge Transfer, Noroozi, Vinjimoor,
Favaro, Pirsiavash, 2018, https://arxiv.org/abs/1805.00385. Both describe places by their oriented
gradients; here it is the image, and by what a turn leaves as it is.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, mse_loss, pad

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, full_precision, scaled_size

_SCALES = (1, 2, 4)
_PATTERNS = 10
_BINS = 16
_COARSE = 10
# Clockwise around a pixel: (row, column) of a window of three.
_AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def histogram(x: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Shares of values per bin from `low` to `high`; the first and last take what lies outside.

    Maps (B, ...) to (B, bins), each row with a sum of 1.
    """
    number = ((x.flatten(1) - low) * (bins / (high - low))).long().clamp_(0, bins - 1)
    rows = torch.arange(len(x), device=x.device)[:, None] * bins
    counts = torch.bincount((number + rows).flatten(), minlength=len(x) * bins)
    return counts.view(len(x), bins).to(x.dtype) / number.shape[1]


def _ordinals() -> Tensor:
    """Of each code of eight bits: their sum if they change at most twice around, else 9."""
    bits = torch.arange(256)[:, None] >> torch.arange(8) & 1
    changes = (bits != bits.roll(1, dims=1)).sum(dim=1)
    return torch.where(changes <= 2, bits.sum(dim=1), _PATTERNS - 1)


def binary_patterns(y: Tensor) -> Tensor:
    """Uniform, rotation-invariant local binary patterns of the eight neighbors.

    Maps (B, H, W) to the same, integers from 0 to 9. Ojala, Pietikäinen, Mäenpää 2002,
    https://doi.org/10.1109/TPAMI.2002.1017623, eq. 10, with neighbors on the grid instead of on a
    circle. Beyond the border the nearest pixel is repeated.
    """
    height, width = y.shape[1:]
    wide = pad(y[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    code = torch.zeros(y.shape, dtype=torch.uint8, device=y.device)
    for k, (row, column) in enumerate(_AROUND):
        there = wide[:, row : row + height, column : column + width]
        code += (there >= y).to(torch.uint8) * (1 << k)
    return _ordinals().to(y.device).take(code.long())


def gradients(y: Tensor) -> Tensor:
    """Magnitudes of the central differences, (B, H, W) to the same."""
    wide = pad(y[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    down = wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    return torch.hypot(across, down)


@full_precision
def descriptors(x: Tensor) -> Tensor:
    """Square roots of histograms, all of them unchanged by a mirror or a right-angled turn.

    Values of each channel, and if there are several of its difference from their mean; then of
    that mean the local binary patterns and the logarithm of the gradients, at three scales.

    Args:
        x: (B, C, H, W) standardized views; H may be 1.

    Returns:
        (B, D) with D = 16 C (twice as many if C > 1) + 60, in [0, 1].
    """
    gray = x.mean(dim=1)
    channels = list(x.unbind(dim=1))
    found = [histogram(channel, -2.5, 2.5, _BINS) for channel in channels]
    if len(channels) > 1:
        found += [histogram(channel - gray, -1, 1, _BINS) for channel in channels]
    for scale in _SCALES:
        window = (min(scale, x.shape[2]), min(scale, x.shape[3]))
        y = avg_pool2d(gray[:, None], window)[:, 0]
        found.append(histogram(binary_patterns(y), 0, _PATTERNS, _PATTERNS))
        found.append(histogram(torch.log2(gradients(y) + 2**-6), -6, 3, _COARSE))
    return torch.cat(found, dim=1).sqrt()


@full_precision
def descriptor_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error against descriptors that are standardized over the batch.

    The constant keeps a bin that hardly any image fills from being blown up.

    Args:
        predicted: (B, D).
        target: (B, D) as `descriptors` gives them.
    """
    return mse_loss(predicted, batch_norm(target, None, None, training=True, eps=0.02**2))


class DescriptorsConfig(Config):
    """How the crop is seen."""

    crop: Annotated[
        float, Field(gt=0, le=1, description="side of the crop in pixels, as a share")
    ] = 0.75


class Descriptors(Objective):
    """A linear map of the features gives the descriptors of the whole image.

    Crops are not altered: colors and light are among what is to be told. They have fewer pixels
    than the image, and so show things about as large (Touvron et al. 2019,
    https://arxiv.org/abs/1906.06423, section 3).
    """

    paper = "https://arxiv.org/abs/2112.09133"
    Config = DescriptorsConfig

    def __init__(self, encoder: Encoder, config: DescriptorsConfig) -> None:
        super().__init__(encoder, config)
        width = _BINS * encoder.channels * (2 if encoder.channels > 1 else 1)
        width += len(_SCALES) * (_PATTERNS + _COARSE)
        self.head = nn.Linear(encoder.num_features, width)

    @classmethod
    def views(cls, config: DescriptorsConfig, size: int) -> tuple[View, ...]:
        """A crop and the whole image."""
        return (View(scaled_size(size, config.crop), policy="weak"), View(size, policy="eval"))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Mean squared error over the descriptors."""
        crop, whole = batch.views
        predicted = self.head(self.encoder(crop))
        return Output(descriptor_loss(all_gather(predicted), all_gather(descriptors(whole))))
