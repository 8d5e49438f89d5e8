"""Cross-stain prediction: the concentration of one stain is predicted from the other stain.

CS-CO: A Hybrid Self-Supervised Visual Representation Learning Method for H&E-stained
Histopathological Images, Yang, Yin, Lu, Hu, Zhang, Jiang, Lv, 2022.
https://doi.org/10.1016/j.media.2022.102539
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate

from ssl_kit import Batch, Config, Encoder, Objective, Output, TrainingInfo, UsageError, View
from ssl_kit.nn import PyramidDecoder, full_precision, rand_per_sample

from .stains import HED, UNMIX, Floats


def _mixed(x: Tensor, matrix: Floats) -> Tensor:
    """Multiplies the channels of (B, 3, H, W) by a matrix (3, 3) from the right."""
    return torch.einsum("bihw,ij->bjhw", x, torch.as_tensor(matrix).to(x))


@full_precision
def unmix(rgb: Tensor) -> Tensor:
    """Computes concentrations (B, 3, H, W) of hematoxylin, eosin and DAB as optical density.

    Args:
        rgb: (B, 3, H, W) images in [0, 1].
    """
    return _mixed(-rgb.clamp(min=1 / 255).log(), UNMIX)


@full_precision
def stained(concentrations: Tensor) -> Tensor:
    """Renders stain concentrations (B, 3, H, W) as RGB images (B, 3, H, W) in [0, 1]."""
    return _mixed(concentrations, -HED).exp().clamp(max=1)


@full_precision
def stain_loss(predicted: Tensor, concentrations: Tensor, hidden: Tensor) -> Tensor:
    """Computes the mean squared error of the concentration of the hidden stain.

    Args:
        predicted: (B, 2, h, w) predicted concentrations of hematoxylin and eosin.
        concentrations: (B, 2, h, w) true concentrations.
        hidden: (B,) index of the hidden stain, 0 or 1.
    """
    return (predicted - concentrations).square()[torch.arange(len(hidden)), hidden].mean()


class CrossStainConfig(Config):
    """Options of the decoder."""

    decoder_dim: Annotated[int, Field(ge=1, description="channels of the decoder")] = 64


class CrossStain(Objective):
    """Cross-stain prediction: a decoder predicts the other stain from one stain of an H&E image.

    https://doi.org/10.1016/j.media.2022.102539. Each image is rendered with hematoxylin or eosin
    only, as an RGB image, so that one encoder of RGB images serves both directions (the paper has
    two encoders of one gray channel). The concentration of the other stain is predicted at the
    resolution of the finest feature map. Stains are separated with fixed stain vectors.
    """

    paper = "https://doi.org/10.1016/j.media.2022.102539"
    Config = CrossStainConfig
    needs = frozenset({"pyramid"})
    trains = "map"
    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder, config: CrossStainConfig) -> None:
        super().__init__(encoder, config)
        if encoder.channels != 3:
            raise UsageError(
                f"Stains are separated in red, green and blue, and these images have "
                f"{encoder.channels} channels; choose another objective."
            )
        widths = [width for width, _, _ in encoder.pyramid_shapes(encoder.image_size)]
        self.decoder = PyramidDecoder(widths, config.decoder_dim, out=2)
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((3, 1, 1), 0.5))

    @classmethod
    def views(cls, config: CrossStainConfig, size: int) -> tuple[View, ...]:
        """One view with unchanged stains."""
        return (View(size, policy="weak"),)

    def prepare(self, training: TrainingInfo) -> None:
        """Stores mean and std of the views, because concentrations depend on intensities."""
        for buffer, values in ((self.mean, training.mean), (self.std, training.std)):
            buffer.copy_(torch.tensor(values).view(3, 1, 1))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the error of the hidden stain; the skill is 1 - error / variance."""
        x = batch.views[0]
        concentrations = unmix((x * self.std + self.mean).clamp(0, 1))
        hidden = (rand_per_sample(len(x), like=x) < 0.5).long()
        shown = torch.eye(3, device=x.device)[1 - hidden][..., None, None]
        rendered = (stained(concentrations * shown) - self.mean) / self.std
        predicted = self.decoder(self.encoder.forward_pyramid(rendered.to(x.dtype)))
        target = interpolate(concentrations[:, :2], predicted.shape[-2:], mode="area")
        loss = stain_loss(predicted, target, hidden)
        spread = target[torch.arange(len(x)), hidden].var().clamp(min=1e-6)
        return Output(loss, {"stain_skill": 1 - loss.detach() / spread})
