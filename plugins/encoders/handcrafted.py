"""Hand-crafted descriptors as an encoder: the control that needs no learning at all."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ... import Encoder, UnknownNameError
from ...nn import image_descriptors, number_of_descriptors

_ARCHITECTURE = "descriptors"


class HandcraftedEncoder(Encoder):
    """Histograms of color, local binary patterns and gradients; there is no weight to train.

    The features are those of `image_descriptors`. They tell how much of a result comes from colors
    and textures that a histogram counts.

    Args:
        architecture: "descriptors", or "".
        channels: Number of input channels (C).
        image_size: Pixels.
    """

    example: ClassVar[tuple[str, ...]] = (_ARCHITECTURE,)

    def __init__(self, architecture: str, channels: int, image_size: int) -> None:
        if architecture not in ("", _ARCHITECTURE):
            raise UnknownNameError("hand-crafted encoder", architecture, [_ARCHITECTURE])
        super().__init__("handcrafted", channels, image_size)
        self.body = nn.Identity()
        self.num_features = number_of_descriptors(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to descriptors (B, D) in [0, 1]."""
        return image_descriptors(x)
