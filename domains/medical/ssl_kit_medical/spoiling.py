"""Transformations of Models Genesis on batches of tensors.

Zhou et al., 2019, https://arxiv.org/abs/1908.06912, section 2, and its authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_kit.nn import rand_per_sample

_KNOTS = 257  # of a curve
_WINDOWS = 5


def bend(x: Tensor, points: Tensor, falls: Tensor) -> Tensor:
    """Maps values by a Bezier curve from (0, 0) over two control points to (1, 1), section 2.

    Args:
        x: (B, ...) in [0, 1].
        points: (B, 2, 2) control points (x, y) in [0, 1]: the curve never turns back.
        falls: (B,) whether the curve falls from 1 to 0 instead, as in the authors' code.
    """
    t = torch.linspace(0, 1, _KNOTS, device=x.device, dtype=x.dtype)
    inner = torch.stack([3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2])  # (2, knots)
    across, up = (points.to(x.dtype).mT @ inner + t**3).unbind(dim=1)
    up = torch.where(falls[:, None], up.flip(1), up)
    flat = x.flatten(1)
    right = torch.searchsorted(across.contiguous(), flat).clamp(1, _KNOTS - 1)
    x0, x1 = across.gather(1, right - 1), across.gather(1, right)
    y0, y1 = up.gather(1, right - 1), up.gather(1, right)
    return (y0 + (y1 - y0) * (flat - x0) / (x1 - x0).clamp_min(1e-12)).view_as(x)


def shuffle_within(x: Tensor, blocks: Tensor, keys: Tensor) -> Tensor:
    """Permutes pixels, all channels together, within the blocks of each image.

    Args:
        x: (B, C, H, W).
        blocks: (B, H, W) number of each pixel's block.
        keys: (B, H, W) random numbers.
    """
    blocks, by_key = blocks.flatten(1), keys.flatten(1).argsort(dim=1)
    source = by_key.gather(1, blocks.gather(1, by_key).argsort(dim=1, stable=True))
    target = blocks.argsort(dim=1, stable=True)
    pixels = x.flatten(2)
    moved = pixels.gather(2, source[:, None].expand_as(pixels))
    return pixels.scatter(2, target[:, None].expand_as(pixels), moved).view_as(x)


def random_blocks(x: Tensor) -> Tensor:
    """Cuts images into blocks of 2 to a tenth of the side, of one size and offset per image.

    The paper's windows overlap; these do not, so that all can be shuffled at once.
    """
    b, _, *sides = x.shape
    drawn = rand_per_sample(b, 2, 2, like=x)
    number = torch.zeros(b, 1, 1, dtype=torch.long, device=x.device)
    for axis, side in enumerate(sides):
        size = 2 + (drawn[:, axis, 0] * max(1, side // 10 - 1)).long()
        offset = (drawn[:, axis, 1] * size).long()
        line = (torch.arange(side, device=x.device) + offset[:, None]) // size[:, None]
        number = number * side + (line[:, :, None] if axis == 0 else line[:, None, :])
    return number


def windows(x: Tensor, low: float, high: float) -> Tensor:
    """Draws (B, 1, H, W), True in one to five rectangles with sides of `low` to `high` of x's."""
    b, _, *sides = x.shape
    drawn = rand_per_sample(b, _WINDOWS, 5, like=x)
    drawn_boxes = (drawn[..., 4] < 0.95).cumprod(dim=1).bool()
    drawn_boxes[:, 0] = True
    within = []
    for axis, side in enumerate(sides):
        length = ((low + drawn[..., axis] * (high - low)) * side).round().clamp_min(1)
        start = (drawn[..., 2 + axis] * (side - length + 1)).floor()[..., None]
        pixel = torch.arange(side, device=x.device)
        within.append((pixel >= start) & (pixel < start + length[..., None]))
    boxes = within[0][..., :, None] & within[1][..., None, :] & drawn_boxes[..., None, None]
    return boxes.any(dim=1, keepdim=True)
