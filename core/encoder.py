"""The contract of an encoder, the network that is pre-trained and exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .errors import UsageError


class Encoder(nn.Module, ABC):
    """A network that maps images to features. Subclass it to register a family of architectures.

    Attributes:
        name: "family/architecture", or only the architecture for timm's.
        body: The module whose state dict is exported, with no key changed.
        channels: C, the number of input channels.
        image_size: Height and width of the images in pixels.
        num_features: D, the number of pooled features.
        num_prefix_tokens: Number of tokens (class token, registers) before the patch tokens.
        arguments: Arguments that build the architecture, for whoever loads the exported weights.
        options: Those of the arguments that `create_encoder` must be given again, besides the
            name, the channels and the image size.
        pooling: How `pool_from` changed the features, "" if it did not; for messages.
        provides: Which of "map", "pyramid" and "tokens" this architecture has.
        example: Small architectures of the family that `ssl-kit plugin check` builds.
    """

    example: ClassVar[tuple[str, ...]] = ()
    body: nn.Module

    def __init__(self, name: str, channels: int, image_size: int) -> None:
        super().__init__()
        self.name, self.channels, self.image_size = name, channels, image_size
        self.num_features = self.num_prefix_tokens = 0
        self.arguments: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self.pooling = ""
        self.provides: frozenset[str] = frozenset()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to pooled features (B, D)."""

    def pool_from(self, part: str) -> None:
        """Makes the features depend on nothing but what an objective trains, `Objective.trains`.

        Arguments that this needs belong in `arguments` and `options`. The default is for encoders
        that pool the last map with no weights of their own.

        Args:
            part: "map", "tokens", or "features", which changes nothing.

        Raises:
            UsageError: If it is not possible.
        """

    def forward_map(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the last feature map (B, D', h, w)."""
        return self.forward_pyramid(x)[-1]

    def forward_pyramid(self, x: Tensor) -> list[Tensor]:
        """Maps (B, C, H, W) to a pyramid of feature maps (B, D', h, w), the finest first."""
        return self.forward_features(x)[1]

    def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns the pooled features and the pyramid of (B, C, H, W) from one forward pass."""
        raise UsageError(f"The encoder '{self.name}' has no pyramid of feature maps.")

    @torch.no_grad()
    def pyramid_shapes(self, size: int) -> list[tuple[int, int, int]]:
        """Returns the shape (D', h, w) of each feature map for images of `size` pixels."""
        training, weight = self.training, next(self.parameters())
        self.eval()
        maps = self.forward_pyramid(weight.new_zeros(1, self.channels, size, size))
        self.train(training)
        return [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]

    def forward_tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Maps (B, C, H, W) to tokens (B, num_prefix_tokens + N, D), patches in row-major order.

        Args:
            x: Images.
            keep: (B, M) indices of the patches to encode, so that N = M; None encodes all.
        """
        raise UsageError(f"The encoder '{self.name}' has no tokens.")

    def imagenet(self) -> dict[str, Tensor]:
        """Returns the state dict of the published ImageNet weights (may download them)."""
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
        """Mean and standard deviation of RGB in [0, 1] that the ImageNet weights expect, if any."""
        return None

    @property
    def first_layer(self) -> str:
        """State-dict key of the input layer's weight (out, C, ...); "" if there is none."""
        return ""
