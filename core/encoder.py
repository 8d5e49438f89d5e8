"""The encoder: what is pre-trained and shipped. How initial weights get into it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .errors import UsageError


class Encoder(nn.Module, ABC):
    """A network that turns images into features. Subclass it to register a family of them.

    Attributes:
        name: "family/architecture", or just the architecture for timm's.
        body: The module whose state dict is shipped, with no key changed.
        channels: C, the number of input channels.
        dim: D, the width of the features.
        arguments: What the architecture is built with, for whoever loads the shipped weights.
        options: Those of the arguments that `create_encoder` must be given again, beside the
            name, the channels and the image size.
        provides: Which of "map", "levels" and "tokens" this architecture has.
        prefix: Number of tokens (class, registers) before those of the patches.
        example: Small architectures of the family; `ssl-kit plugin check` builds them.
    """

    example: ClassVar[tuple[str, ...]] = ()
    body: nn.Module

    def __init__(self, name: str, channels: int, image_size: int) -> None:
        super().__init__()
        self.name, self.channels, self.image_size = name, channels, image_size
        self.num_features = self.num_prefix_tokens = 0
        self.arguments: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self.provides: frozenset[str] = frozenset()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to pooled features (B, D)."""

    def forward_map(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the last feature map (B, D', h, w)."""
        return self.forward_pyramid(x)[-1]

    def forward_pyramid(self, x: Tensor) -> list[Tensor]:
        """Maps (B, C, H, W) to the pyramid of feature maps, finest first."""
        return self.forward_features(x)[1]

    def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns what `forward` and `levels` return, from one pass."""
        raise UsageError(f"The encoder '{self.name}' has no pyramid of feature maps.")

    @torch.no_grad()
    def pyramid_shapes(self, size: int) -> list[tuple[int, int, int]]:
        """Returns (D, h, w) of each feature map of images of `size` pixels, finest first."""
        training, weight = self.training, next(self.parameters())
        self.eval()
        maps = self.forward_pyramid(weight.new_zeros(1, self.channels, size, size))
        self.train(training)
        return [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]

    def forward_tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Maps (B, C, H, W) to tokens (B, prefix + N, D), those of the N patches row by row.

        Args:
            x: Images.
            keep: (B, M) numbers of the patches to encode, the others are dropped; all if None.
        """
        raise UsageError(f"The encoder '{self.name}' has no tokens.")

    def imagenet(self) -> dict[str, Tensor]:
        """Returns the state dict of its published ImageNet weights (may use the network)."""
        raise UsageError(f"No ImageNet weights are published for '{self.name}': use --init FILE.")

    def convert(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fits a checkpoint of this architecture to the encoder.

        Renames the weights of other layouts, and resamples what depends on the image or patch
        size, such as position embeddings. The default changes nothing.

        Args:
            state: State dict as a file holds it.
        """
        return state

    def reference_features(self, state: dict[str, Tensor], x: Tensor) -> Tensor | None:
        """Returns the features (B, D) that the architecture's own library gives; None if it can't.

        Loading weights is checked with it.

        Args:
            state: State dict as a file holds it, without a classifier.
            x: Images (B, C, H, W).
        """
        return None

    def argument_for(self, weight: str, value: Tensor) -> str:
        """Returns the argument that gives the architecture room for a weight, "" if none is known.

        Args:
            weight: Name of a weight that a file has and the encoder lacks.
            value: That weight.
        """
        return ""

    @property
    def classifier(self) -> tuple[str, ...]:
        """Names of the layers that classify; the weights of a file for them are left out."""
        return ("head", "fc", "classifier")

    @property
    def pretrained_statistics(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation of RGB in [0, 1] that the ImageNet weights expect."""
        return None

    @property
    def first_layer(self) -> str:
        """Key of the weight (out, C, ...) that sees the image, "" if there is none."""
        return ""
