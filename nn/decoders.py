"""Decoders that predict pixels or hidden features from the output of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import fold, interpolate


def up_decoder(width: int, hidden_dim: int, doublings: int, out: int) -> nn.Sequential:
    """Builds transposed convolutions that upsample a feature map, then a 1 x 1 convolution.

    Args:
        width: Channels of the input.
        hidden_dim: Channels after the first layer; each further one has half, at least 32.
        doublings: Number of layers, each of which doubles height and width.
        out: Channels of the output.
    """
    layers: list[nn.Module] = []
    for i in range(doublings):
        narrow = max(hidden_dim >> i, 32)
        up = nn.ConvTranspose2d(width, narrow, 4, stride=2, padding=1, bias=False)
        layers += [up, nn.BatchNorm2d(narrow), nn.ReLU(inplace=True)]
        width = narrow
    return nn.Sequential(*layers, nn.Conv2d(width, out, 1))


class PyramidDecoder(nn.Module):
    """Sums the upsampled maps of a pyramid, as a feature pyramid network does, and convolves.

    FPN (Lin et al. 2016, https://arxiv.org/abs/1612.03144), top-down pathway.

    Args:
        widths: Channels of each feature map, the finest first.
        hidden_dim: Channels of the sum.
        out: Channels of the output, (B, out, h, w) at the resolution of the finest map.
    """

    def __init__(self, widths: Sequence[int], hidden_dim: int, out: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, hidden_dim, 1) for width in widths)
        self.head = nn.Sequential(
            nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden_dim, out, 1),
        )

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        """Maps a pyramid of (B, D, h, w) to one map (B, out, h, w)."""
        maps = [narrow(level) for narrow, level in zip(self.lateral, pyramid, strict=True)]
        top = maps.pop()
        while maps:
            fine = maps.pop()
            top = fine + interpolate(top, fine.shape[-2:])
        out: Tensor = self.head(top)
        return out


def transformer_decoder(width: int, depth: int, out: int) -> nn.Sequential:
    """Builds transformer blocks of `width` with 32 dimensions per head, a norm, a linear layer.

    It maps tokens (B, N, width) to predictions (B, N, out).
    """
    from timm.models.vision_transformer import Block

    blocks = (Block(width, width // 32, qkv_bias=True) for _ in range(depth))
    return nn.Sequential(*blocks, nn.LayerNorm(width), nn.Linear(width, out))


def join_patches(pixels: Tensor, patch: tuple[int, int]) -> Tensor:
    """Joins predicted patches (B, C p q, h, w) of p x q pixels to images (B, C, h p, w q)."""
    size = pixels.shape[2] * patch[0], pixels.shape[3] * patch[1]
    return fold(pixels.flatten(2), size, patch, stride=patch)
