"""Hiding parts of images: masks over a grid of patches, and what stands in the hidden places."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .parallel import draw_rows


def patchify(x: Tensor, patch: int | tuple[int, int]) -> Tensor:
    """Cuts (B, C, H, W) into patches (B, N, P C), row by row; a rest at the edges is left out.

    Args:
        x: Images or maps.
        patch: Pixels, height and width (or both apart); P is their product.
    """
    tall, wide = (patch, patch) if isinstance(patch, int) else patch
    b, c, height, width = x.shape
    h, w = height // tall, width // wide
    x = x[..., : h * tall, : w * wide].reshape(b, c, h, tall, w, wide)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, h * w, tall * wide * c)


def random_mask(batch: int, cells: int, ratio: float, like: Tensor) -> Tensor:
    """Draws masks (B, cells), True where hidden, `ratio` of the cells of every image.

    At least one cell is hidden and one is left.

    Args:
        batch: B.
        cells: Number of patches.
        ratio: Share that is hidden.
        like: Gives the device.
    """
    hidden = min(max(1, round(ratio * cells)), cells - 1)
    order = draw_rows(batch, cells, like=like).argsort(dim=1).argsort(dim=1)
    return order < hidden


def spread(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarges masks (B, h, w) to (B, 1, H, W) by the nearest cell."""
    return interpolate(mask[:, None].float(), size=size, mode="nearest").bool()


class MaskPatch(nn.Module):
    """A learned patch that stands in hidden places, in pixels.

    Before a linear patch embedding that is what a learned mask token is behind it, and it serves
    convolutional networks as well.

    Args:
        channels: C.
        size: Height and width of a hidden place, in pixels.
    """

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.pixels = nn.Parameter(torch.zeros(channels, *size))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Fills the hidden places.

        Args:
            x: (B, C, H, W); H and W are multiples of the patch.
            mask: (B, h, w), True where hidden.
        """
        tiles = self.pixels.repeat(1, mask.shape[1], mask.shape[2])
        return torch.where(spread(mask, (x.shape[2], x.shape[3])), tiles.to(x.dtype), x)
