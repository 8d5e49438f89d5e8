"""Encoders of raw signals: one-dimensional residual networks.

After Wang, Yan, Oates 2016, Time Series Classification from Scratch with Deep Neural Networks,
https://arxiv.org/abs/1611.06455, with the stages of an ordinary ResNet.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ssl_kit import Encoder, UnknownNameError

_STEM, _KERNEL = 15, 7  # samples


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Conv2d:
    """Builds a convolution along time that does not mix the rows of an image."""
    padding = (0, kernel // 2)
    return nn.Conv2d(in_channels, out_channels, (1, kernel), (1, stride), padding, bias=False)


class Block(nn.Module):
    """A residual block of two convolutions and a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = _conv(in_channels, out_channels, _KERNEL, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv(out_channels, out_channels, _KERNEL, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.short: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            conv = _conv(in_channels, out_channels, 1, 1)
            self.short = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D, h, w) to (B, D', h, w / stride).

        The shortcut is strided by a slice: a 1 x 1 convolution with the stride (1, 2) on an image
        in channels_last ends the process with torch 2.14 on CPUs.
        """
        y = self.bn1(self.conv1(x)).relu()
        kept = x[..., :: self.stride]
        return cast(Tensor, (self.bn2(self.conv2(y)) + self.short(kept)).relu())


class ResNet1d(nn.Module):
    """A residual network for signals (B, C, 1, T) with a total stride of 32.

    Args:
        channels: C, the number of channels of a signal.
        width: Channels of the first of four stages; each further one has twice as many.
        depth: Number of blocks per stage.
    """

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(channels, width, _STEM, 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.pool = nn.MaxPool2d((1, 3), (1, 2), (0, 1))
        widths = [width * 2**stage for stage in range(4)]
        self.stages = nn.ModuleList(
            nn.Sequential(
                Block(widths[max(0, stage - 1)], widths[stage], 1 if stage == 0 else 2),
                *(Block(widths[stage], widths[stage], 1) for _ in range(depth - 1)),
            )
            for stage in range(4)
        )

    def maps(self, x: Tensor) -> list[Tensor]:
        """Returns the feature maps (B, D, h, w) of the stem and of each stage, the finest first."""
        maps = [cast(Tensor, self.stem(x))]
        for number, stage in enumerate(self.stages):
            maps.append(stage(maps[-1] if number else self.pool(maps[-1])))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Maps signals (B, C, 1, T) to features (B, D), averaged over time."""
        return self.maps(x)[-1].mean(dim=(2, 3))


class ResNet1dEncoder(Encoder):
    """One-dimensional residual networks for signals: resnet1d/tiny, small or base.

    The rows of an image are treated as separate signals, whose features are averaged.

    Args:
        architecture: One of `SIZES`.
        channels: C, the number of channels of a signal.
        image_size: Number of samples of a view.
    """

    SIZES: ClassVar[dict[str, tuple[int, int]]] = {  # width and depth
        "tiny": (8, 1),
        "small": (32, 1),
        "base": (64, 2),
    }
    example = ("tiny",)

    body: ResNet1d

    def __init__(self, architecture: str, channels: int, image_size: int) -> None:
        super().__init__(f"resnet1d/{architecture}", channels, image_size)
        if architecture not in self.SIZES:
            raise UnknownNameError("architecture of resnet1d", architecture, self.SIZES)
        width, depth = self.SIZES[architecture]
        self.arguments: dict[str, Any] = {"channels": channels, "width": width, "depth": depth}
        self.body, self.num_features = ResNet1d(**self.arguments), 8 * width
        self.provides = frozenset({"map", "pyramid"})

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, 1, T) to pooled features (B, D)."""
        return cast(Tensor, self.body(x))

    def forward_features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns pooled features (B, D) and the feature maps, finest first, from one pass."""
        maps = self.body.maps(x)
        return maps[-1].mean(dim=(2, 3)), maps

    @torch.no_grad()
    def pyramid_shapes(self, size: int) -> list[tuple[int, int, int]]:
        """Returns (D, 1, w) of each feature map of signals of `size` samples, finest first."""
        training, weight = self.training, next(self.parameters())
        maps = self.eval().forward_pyramid(weight.new_zeros(1, self.channels, 1, size))
        self.train(training)
        return [(m.shape[1], m.shape[2], m.shape[3]) for m in maps]

    @property
    def first_layer(self) -> str:
        """State-dict key of the input layer's weight."""
        return "stem.0.weight"
