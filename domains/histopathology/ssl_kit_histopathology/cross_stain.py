"""Predicts how much of one stain there is from the other alone.

CS-CO: A Hybrid Self-Supervised Visual Representation Learning Method for H&E-stained
Histopathological Images, Yang, Yin, Lu, Hu, Zhang, Jiang, Lv, 2022.
https://doi.org/10.1016/j.media.2022.102539
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ssl_kit import Batch, Config, Encoder, Objective, Output, TrainingInfo, UsageError, View
from ssl_kit.nn import full_precision, rand_per_sample

from .stains import HED, UNMIX, Floats


def _mixed(x: Tensor, matrix: Floats) -> Tensor:
    """Multiplies channels (B, 3, H, W) by (3, 3) from the right."""
    return torch.einsum("bihw,ij->bjhw", x, torch.as_tensor(matrix).to(x))


@full_precision
def unmix(rgb: Tensor) -> Tensor:
    """Returns concentrations of hematoxylin, eosin and DAB, in units of optical density.

    Args:
        rgb: (B, 3, H, W) in [0, 1].
    """
    return _mixed(-rgb.clamp(min=1 / 255).log(), UNMIX)


@full_precision
def stained(concentrations: Tensor) -> Tensor:
    """Returns the RGB (B, 3, H, W) in [0, 1] that concentrations (B, 3, H, W) look like."""
    return _mixed(concentrations, -HED).exp().clamp(max=1)


@full_precision
def stain_loss(predicted: Tensor, concentrations: Tensor, hidden: Tensor) -> Tensor:
    """Squared error of the hidden stain's concentration, as a mean over images and pixels.

    Args:
        predicted: (B, 2, h, w) hematoxylin and eosin.
        concentrations: (B, 2, h, w).
        hidden: (B,) number of the hidden one.
    """
    return (predicted - concentrations).square()[torch.arange(len(hidden)), hidden].mean()


class TopDown(nn.Module):
    """A small decoder: adds up the levels, the coarse ones enlarged, as a pyramid network does.

    Args:
        widths: D of each level, the finest first.
        hidden: Width of the sum.
        out: Channels of the result, (B, out, h, w) of the finest level.
    """

    def __init__(self, widths: list[int], hidden: int, out: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, hidden, 1) for width in widths)
        self.head = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, out, 1),
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Maps the levels (B, D, h, w) to one map."""
        maps = [narrow(level) for narrow, level in zip(self.lateral, levels, strict=True)]
        top = maps.pop()
        while maps:
            fine = maps.pop()
            top = fine + interpolate(top, fine.shape[-2:])
        out: Tensor = self.head(top)
        return out


class CrossStainConfig(Config):
    """Options of the decoder."""

    hidden: Annotated[int, Field(ge=1, description="width of the decoder")] = 64


class CrossStain(Objective):
    """Cross-stain prediction with one encoder for both directions.

    Each image is shown as it would look with hematoxylin alone or with eosin alone, in three
    channels, so that the encoder's first layer is that of ordinary images; the paper has two
    encoders of one gray channel each. The other stain's concentration is predicted at the
    resolution of the finest level. Stains are separated with fixed vectors.
    """

    paper = "https://doi.org/10.1016/j.media.2022.102539"
    Config = CrossStainConfig
    needs = frozenset({"pyramid"})
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
        self.decoder = TopDown(widths, config.hidden, out=2)
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((3, 1, 1), 0.5))

    @classmethod
    def views(cls, config: CrossStainConfig, size: int) -> tuple[View, ...]:
        """One view with its own stains."""
        return (View(size, policy="weak"),)

    def prepare(self, training: TrainingInfo) -> None:
        """Learns how views were standardized: concentrations need intensities."""
        for buffer, values in ((self.mean, training.mean), (self.std, training.std)):
            buffer.copy_(torch.tensor(values).view(3, 1, 1))

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Error of the hidden stain; the skill is 1 - error / variance."""
        x = batch.views[0]
        concentrations = unmix((x * self.std + self.mean).clamp(0, 1))
        hidden = (rand_per_sample(len(x), like=x) < 0.5).long()
        shown = torch.eye(3, device=x.device)[1 - hidden][..., None, None]
        seen = (stained(concentrations * shown) - self.mean) / self.std
        predicted = self.decoder(self.encoder.forward_pyramid(seen.to(x.dtype)))
        target = interpolate(concentrations[:, :2], predicted.shape[-2:], mode="area")
        loss = stain_loss(predicted, target, hidden)
        spread = target[torch.arange(len(x)), hidden].var().clamp(min=1e-6)
        return Output(loss, {"stain_skill": 1 - loss.detach() / spread})
