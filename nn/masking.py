"""Hiding parts of images: masks over a grid of patches, and what stands in the hidden places."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm

from ..core.encoder import Encoder
from ..core.errors import UsageError
from .distributed import rand_per_sample, rand_shared


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

    Raises:
        UsageError: If there are less than two cells.
    """
    if cells < 2:
        raise UsageError(
            "An image of one patch cannot be hidden in part. Give a larger --image-size."
        )
    hidden = min(max(1, round(ratio * cells)), cells - 1)
    order = rand_per_sample(batch, cells, like=like).argsort(dim=1).argsort(dim=1)
    return order < hidden


def upsample_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarges masks (B, h, w) to (B, 1, H, W) by the nearest cell."""
    return interpolate(mask[:, None].float(), size=size, mode="nearest").bool()


@contextmanager
def _batches_counted(network: nn.Module, times: int) -> Iterator[None]:
    """Lets batches count `times`-fold in the running statistics of batch normalization."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1 - (1 - (norm.momentum or 0.1)) ** times
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


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
        # not constant: max pooling over equal values would pick any of them
        self.pixels = nn.Parameter(0.02 * torch.randn(channels, *size))

    @classmethod
    def fitting(cls, encoder: Encoder, places: int) -> MaskPatch:
        """Makes one of about 1/`places` of an image's side: 2^k cells of the encoder's finest map.

        Of a ViT, whose maps are all of its patches, that is one patch or more.
        """
        _, _, w = encoder.pyramid_shapes(encoder.image_size)[0]
        cell = math.ceil(encoder.image_size / w)
        size = cell * 2 ** max(0, round(math.log2(encoder.image_size / places / cell)))
        return cls(encoder.channels, (size, size))

    def draw(self, x: Tensor, ratio: float) -> Tensor:
        """Draws masks (B, h, w) for images (B, C, H, W), True where hidden."""
        h, w = (math.ceil(a / b) for a, b in zip(x.shape[2:], self.pixels.shape[1:], strict=True))
        return random_mask(len(x), h * w, ratio, like=x).view(-1, h, w)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Fills the hidden places.

        Args:
            x: (B, C, H, W).
            mask: (B, h, w), True where hidden. If H and W are no multiples, cells are a little
                smaller than the patch.
        """
        height, width = x.shape[2:]
        tiles = self.pixels.repeat(1, mask.shape[1], mask.shape[2])[:, :height, :width]
        return torch.where(upsample_mask(mask, (height, width)), tiles.to(x.dtype), x)

    def forward_pyramid(self, encoder: Encoder, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Returns an encoder's maps, finest first, of images with hidden places.

        Running statistics of batch normalization are taken from whole images, for which the
        encoder is used later: a quarter of the batches is passed once more, without gradient.

        Args:
            encoder: To be trained.
            x: (B, C, H, W).
            mask: (B, h, w), True where hidden.
        """
        normalized = any(isinstance(module, _BatchNorm) for module in encoder.modules())
        if normalized and self.training and float(rand_shared(1, like=x)) < 0.25:
            with _batches_counted(encoder, 4), torch.no_grad():
                encoder(x)
        with _batches_counted(encoder, 0):
            return encoder.forward_pyramid(self(x, mask))
