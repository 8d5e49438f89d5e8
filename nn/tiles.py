"""The 3 x 3 grid of tiles that jigsaw-like pretext tasks work on."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.errors import UsageError


def tile_size(size: int) -> int:
    """Returns the side of a tile: half the image size, as a multiple of 16 for transformers."""
    return max(16, round(size / 32) * 16)


def cut_tiles(x: Tensor, tile: int, offset: Tensor) -> Tensor:
    """Cuts one tile out of each cell of a 3 x 3 grid over an image.

    Args:
        x: (B, C, S, S) images.
        tile: Height and width of a tile in pixels, at most the S // 3 of a cell.
        offset: (B, 9, 2) vertical and horizontal position of each tile in its cell, in [0, 1).

    Returns:
        (9 B, C, tile, tile), the nine tiles of an image together, in row-major order.

    Raises:
        UsageError: If the images are not square.
    """
    b, _, height, width = x.shape
    if height != width:
        raise UsageError(
            f"A grid of tiles needs square images, not {height} x {width} pixels; "
            "choose an objective without tiles, such as simclr."
        )
    cell = width // 3
    corner = torch.cartesian_prod(*[torch.arange(3, device=x.device) * cell] * 2)  # (9, 2)
    corner = corner + (offset * (cell - tile + 1)).long()
    pixels = corner[..., None] + torch.arange(tile, device=x.device)  # (B, 9, 2, tile)
    rows, columns = pixels[:, :, 0, :, None], pixels[:, :, 1, None, :]
    image = torch.arange(b, device=x.device).view(-1, 1, 1, 1)
    return x[image, :, rows, columns].permute(0, 1, 4, 2, 3).flatten(0, 1)
