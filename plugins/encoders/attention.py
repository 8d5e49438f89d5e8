"""Attention modules that are the identity at initialization, with the gate 1 + tanh(z).

The papers have the gate sigmoid(z) in (0, 1); ours is 2 sigmoid(2z) = 1 + tanh(z) in (0, 2). The
last weights are initialized to zero, so that the features are exactly those of the plain network
and pre-trained weights can be used.
"""

from __future__ import annotations

from math import log2
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ... import UsageError


class Insert(nn.Module):
    """An attention module that maps a feature map to one of the same shape.

    Args:
        channels: D, the number of channels of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def after(self, stage: nn.Module, inputs: object, output: Any) -> Tensor:
        """Applies the module to the output of a stage; it is a forward hook."""
        if getattr(output, "shape", ())[1:2] != (self.channels,) or output.ndim != 4:
            raise UsageError("attention needs stages whose output is a feature map (B, D, h, w)")
        gated: Tensor = self(output)
        return gated


def gate(z: Tensor) -> Tensor:
    """Maps logits to factors in (0, 2), and 0 to 1."""
    return 1 + z.tanh()


class SqueezeExcitation(Insert):
    """Weighs channels by a perceptron on their global averages, eq. 2 to 4.

    Squeeze-and-Excitation Networks, Hu, Shen, Sun, 2018. https://arxiv.org/abs/1709.01507

    Args:
        channels: D, the number of channels of the feature map.
        reduction: Reduction ratio of the bottleneck (r), which has at least 8 units.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__(channels)
        hidden = max(8, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)
        nn.init.zeros_(self.excite.weight)

    def logits(self, pooled: Tensor) -> Tensor:
        """Maps pooled features (B, D, 1, 1) to the logits of the gate."""
        z: Tensor = self.excite(relu(self.squeeze(pooled)))
        return z

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D, h, w) to the same shape."""
        return x * gate(self.logits(x.mean(dim=(2, 3), keepdim=True)))


class CBAM(SqueezeExcitation):
    """Weighs channels, then positions, by average and maximum pooling, eq. 1 to 3.

    CBAM: Convolutional Block Attention Module, Woo, Park, Lee, Kweon, 2018.
    https://arxiv.org/abs/1807.06521

    Args:
        channels: D, the number of channels of the feature map.
        reduction: Reduction ratio of the bottleneck (r), which has at least 8 units.
        kernel: Kernel size of the convolution over positions, 7 in the paper.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__(channels, reduction)
        self.spatial = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        nn.init.zeros_(self.spatial.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D, h, w) to the same shape."""
        mean, largest = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        x = x * gate(self.logits(mean) + self.logits(largest))
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * gate(self.spatial(summary))


class ECA(Insert):
    """Weighs channels by a convolution over the averages of neighboring channels, eq. 5 and 12.

    ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks,
    Wang, Wu, Zhu, Li, Zuo, Hu, 2020. https://arxiv.org/abs/1910.03151

    Args:
        channels: D, the number of channels of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        width = kernel_width(channels)
        self.beside = nn.Conv1d(1, 1, width, padding=width // 2, bias=False)
        nn.init.zeros_(self.beside.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D, h, w) to the same shape."""
        z = self.beside(x.mean(dim=(2, 3))[:, None])[:, 0]
        return x * gate(z)[..., None, None]


def kernel_width(channels: int) -> int:
    """Returns the kernel size of ECA, the odd number nearest to log2(D) / 2 + 1 / 2, eq. 12."""
    width = int(abs(log2(channels) + 1) / 2)
    return width if width % 2 else width + 1
