"""Families of encoders: any CNN of timm with an attention module after each stage.

The attention modules of timm (timm.layers) end in a sigmoid, which halves the features of loaded
weights; those of this package start as the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ... import Encoder, UsageError
from ...nn import create_encoder
from .attention import CBAM, ECA, Insert, SqueezeExcitation


class AttentionEncoder(Encoder):
    """A CNN with attention after each stage, which equals the plain CNN at initialization.

    Its weights have the names of the plain CNN's weights; those of the attention modules begin with
    the name of the family.

    Args:
        architecture: A CNN of timm that lists its stages (feature_info).
        channels: C, the number of input channels.
        image_size: Height and width in pixels.
    """

    example: ClassVar[tuple[str, ...]] = ("test_resnet",)
    family: ClassVar[str]
    insert: ClassVar[type[Insert]]
    body: Any

    def __init__(self, architecture: str, channels: int, image_size: int) -> None:
        super().__init__(f"{self.family}/{architecture}", channels, image_size)
        plain = create_encoder(architecture, channels, image_size)
        self._plain = (plain,)  # in a tuple, so that its weights are registered once
        self.body, self.num_features, self.arguments = (
            plain.body,
            plain.num_features,
            plain.arguments,
        )
        self.provides = plain.provides - {"tokens"}
        inserts = nn.ModuleDict()
        for name, width in _stages(self.body):
            insert = self.insert(width)
            inserts[name.replace(".", "_")] = insert
            self.body.get_submodule(name).register_forward_hook(insert.after)
        self.body.add_module(self.family, inserts)
        self._try(architecture)

    def _try(self, architecture: str) -> None:
        """Encodes a blank image, so that an unsuitable architecture fails before data are read."""
        try:
            if not len(getattr(self.body, self.family)):
                raise UsageError("no stages are listed")
            with torch.no_grad():
                self.eval()(torch.zeros(1, self.channels, self.image_size, self.image_size))
        except UsageError as error:
            raise UsageError(
                f"'{self.family}' needs a CNN, and '{architecture}' is none: {error}."
            ) from error
        self.train()

    def pool_from(self, part: str) -> None:
        """Makes the features depend on nothing but what an objective trains, as the plain CNN."""
        self._plain[0].pool_from(part)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to pooled features (B, D)."""
        return self._plain[0].forward(x)

    def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns pooled features (B, D) and the feature maps, finest first, from one pass."""
        return self._plain[0].forward_features(x)

    def imagenet(self) -> dict[str, Tensor]:
        """Returns the ImageNet weights of the plain CNN, and the current attention weights."""
        return {**self._plain[0].imagenet(), **self._attention()}

    def _attention(self) -> dict[str, Tensor]:
        """Returns the current attention weights."""
        return {
            name: value
            for name, value in self.body.state_dict().items()
            if name.startswith(f"{self.family}.")
        }

    def convert(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fits a checkpoint to the encoder as the plain CNN does.

        Attention that it lacks is that of the encoder, which changes nothing at initialization.
        """
        state = self._plain[0].convert(state)
        return {**self._attention(), **state} if self.first_layer in state else state

    def argument_for(self, weight: str, value: Tensor) -> str:
        """Returns the argument that gives the plain CNN room for a weight, "" if none is known."""
        return self._plain[0].argument_for(weight, value)

    @property
    def classifier(self) -> tuple[str, ...]:
        """Names of the layers of the plain CNN that classify."""
        return self._plain[0].classifier

    @property
    def pretrained_statistics(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation of RGB in [0, 1] that the ImageNet weights expect."""
        return self._plain[0].pretrained_statistics

    @property
    def first_layer(self) -> str:
        """State-dict key of the input layer's weight."""
        return self._plain[0].first_layer


def _stages(body: Any) -> Iterator[tuple[str, int]]:
    """Yields name and channels of the module that ends each stage.

    The activation of a stem is skipped, and so are the pooling behind the last stage and norms,
    which are replaced by synchronized ones when several processes train. So are names of modules
    that the network lacks.
    """
    skipped = (nn.modules.batchnorm._BatchNorm, nn.MaxPool2d)
    modules = dict(body.named_modules())
    for number, info in enumerate(getattr(body, "feature_info", ())):
        stage = modules.get(info["module"])
        stem = number == 0 and stage is not None and next(stage.children(), None) is None
        if not (stage is None or stem or isinstance(stage, skipped)):
            yield info["module"], info["num_chs"]


class CBAMEncoder(AttentionEncoder):
    """A CNN with channel and spatial attention: cbam/resnet18."""

    family, insert = "cbam", CBAM


class SEEncoder(AttentionEncoder):
    """A CNN with squeeze-and-excitation attention: se/resnet18."""

    family, insert = "se", SqueezeExcitation


class ECAEncoder(AttentionEncoder):
    """A CNN with efficient channel attention: eca/resnet18."""

    family, insert = "eca", ECA
