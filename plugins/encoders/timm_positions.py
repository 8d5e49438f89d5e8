"""Position embeddings of timm's vision transformers."""

from __future__ import annotations

import math
from typing import cast

from timm.layers.pos_embed import resample_abs_pos_embed
from timm.layers.pos_embed_sincos import apply_keep_indices_nlc
from torch import Tensor


def resampled(positions: Tensor, count: int) -> Tensor:
    """Resamples position embeddings (1, N, D) of a square grid to another; as they are if none is.

    Tokens before the patches are what N exceeds a square by.
    """
    before, after = math.isqrt(positions.shape[1]), math.isqrt(count)
    prefix = positions.shape[1] - before**2
    if count - after**2 != prefix:
        return positions
    old, new = [before, before], [after, after]
    return cast(Tensor, resample_abs_pos_embed(positions, new, old, num_prefix_tokens=prefix))


def kept_rotations(x: Tensor, rope: Tensor, keep: Tensor, mixed: bool) -> Tensor:
    """Chooses the rotary embeddings of the kept patches, as timm's patch dropout does."""
    kept = apply_keep_indices_nlc(x, rope, keep)
    return kept.transpose(0, 1) if mixed else kept.unsqueeze(1)
