"""Multi-block masking: target blocks to predict, and a context block to predict them from.

I-JEPA (Assran et al. 2023, https://arxiv.org/abs/2301.08243), section 3 and appendix A.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .distributed import all_gather, rand_per_sample, rand_shared

Ranges = tuple[tuple[float, float], tuple[float, float]]
# ranges of the share of the grid, and of height over width: appendix A.1
TARGET: Ranges = (0.15, 0.2), (0.75, 1.5)
CONTEXT: Ranges = (0.85, 1.0), (1.0, 1.0)


def block_size(u: Tensor, ranges: Ranges, grid: tuple[int, int]) -> tuple[int, int]:
    """Returns height and width of a block in patches, from two uniform random numbers."""
    share, ratio = (lo + float(v) * (hi - lo) for v, (lo, hi) in zip(u, ranges, strict=True))
    tall = min(max(1, round((share * grid[0] * grid[1] * ratio) ** 0.5)), grid[0])
    return tall, min(max(1, round(share * grid[0] * grid[1] / tall)), grid[1])


def place_blocks(u: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Places blocks at random: maps uniform random numbers (..., 2) to masks (..., h w)."""
    sides = []
    for i in range(2):
        first = (u[..., i, None] * (grid[i] - size[i] + 1)).floor()
        inside = torch.arange(grid[i], device=u.device) - first
        sides.append((inside >= 0) & (inside < size[i]))
    return (sides[0][..., :, None] & sides[1][..., None, :]).flatten(-2)


def context_without(block: Tensor, targets: Tensor) -> Tensor:
    """Removes the target blocks (B, T, N) from the context blocks (B, N).

    Later targets are not removed where less than 1/20 of the patches, or none, would remain.
    """
    remaining = block[:, None] & (targets.cumsum(dim=1) == 0)  # without the first, first two, ...
    enough = (remaining.sum(dim=2) >= max(1, block.shape[1] // 20)).sum(dim=1)
    return remaining[torch.arange(len(remaining)), enough.clamp(min=1) - 1]


def random_blocks(x: Tensor, grid: tuple[int, int], num_targets: int) -> tuple[Tensor, Tensor]:
    """Draws a context block and target blocks for each image.

    Args:
        x: (B, ...) images, which give the batch size and the device.
        grid: h, w, the number of patches along each side.
        num_targets: T, the number of target blocks per image.

    Returns:
        Indices of the context patches (B, M) and of the target patches (B, T, m), row-major.
    """
    size = rand_shared(2, 2, like=x)
    corners = rand_per_sample(len(x), num_targets + 1, 2, like=x)
    targets = place_blocks(corners[:, 1:], block_size(size[0], TARGET, grid), grid)
    block = place_blocks(corners[:, 0], block_size(size[1], CONTEXT, grid), grid)
    context = context_without(block, targets)
    least = int(all_gather(context.sum(dim=1)).min())  # the same for all images
    chance = rand_per_sample(*context.shape, like=x)
    keep = chance.masked_fill(~context, -1).topk(least).indices
    return keep, targets.nonzero()[:, 2].view(*targets.shape[:2], -1)
