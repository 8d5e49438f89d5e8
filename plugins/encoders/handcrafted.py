"""Hand-crafted descriptors as an encoder: the control that needs no learning at all."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ... import Encoder, UnknownNameError
from ...nn import (
    image_descriptors,
    number_of_descriptors,
    number_of_statistics,
    signal_descriptors,
)

_KINDS = {
    "descriptors": (image_descriptors, number_of_descriptors),
    "statistics": (signal_descriptors, number_of_statistics),
}


class HandcraftedEncoder(Encoder):
    """Histograms of an image, or statistics of a signal; there is no weight to train.

    The features are those of `image_descriptors` or `signal_descriptors`. They tell how much of a
    result comes from colors and textures that a histogram counts, or from moments and the spectrum.

    Args:
        architecture: "descriptors" for images, the same as "", or "statistics" for signals.
        channels: Number of input channels (C).
        image_size: Pixels.
    """

    example: ClassVar[tuple[str, ...]] = tuple(_KINDS)

    def __init__(self, architecture: str, channels: int, image_size: int) -> None:
        if architecture not in ("", *_KINDS):
            raise UnknownNameError("hand-crafted encoder", architecture, list(_KINDS))
        super().__init__("handcrafted", channels, image_size)
        self.body = nn.Identity()
        self.describe, number = _KINDS[architecture or "descriptors"]
        self.num_features = number(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to descriptors (B, D)."""
        return self.describe(x)
