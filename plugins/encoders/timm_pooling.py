"""What timm's models pool, and what they have behind the pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...nn import patch_size

POOLINGS: tuple[dict[str, Any], ...] = (
    {},
    {"global_pool": "avg", "fc_norm": False},
    {"global_pool": "avg", "fc_norm": False, "pool_include_prefix": False},
    {"global_pool": "avg", "use_fc_norm": False},
    {"global_pool": "avg"},
)
"""Arguments that are tried in this order, for features of what is trained.

The final norm stays before the pooling, under its name, so that features are the mean of normalized
patch tokens.
"""

_NAMES = {"token": "the class token", "map": "attention pooling"}  # by timm's `global_pool`


def described(old: str) -> str:
    """Says that patch tokens are pooled instead of what timm's `global_pool` says."""
    return f"the mean of the patch tokens, not {_NAMES.get(old, old)}"


def small_size(body: Any) -> int:
    """Returns 64 pixels, rounded up to whole patches, which most models of timm take."""
    patch = patch_size(body)
    return -(-64 // patch) * patch


def head_map(body: Any, last: Tensor, shape: Sequence[int]) -> Tensor:
    """Applies what a model has behind the pooling to each position of its last map.

    Args:
        body: A model of timm.
        last: What its `forward_features` returns: (B, D, h, w), (B, h, w, D) or (B, prefix + N, D).
        shape: h and w.

    Returns:
        (B, D', h, w)
    """
    if last.ndim == 3:
        rows = head_of_tokens(body, last[:, last.shape[1] - math.prod(shape) :])
    elif getattr(body, "output_fmt", "NCHW") == "NHWC":
        rows = _head(body, last.flatten(1, 2)[:, :, None, None, :])
    else:
        rows = _head(body, last.flatten(2).mT[..., None, None])
    return rows.mT.reshape(len(rows), -1, *shape)


def head_of_tokens(body: Any, tokens: Tensor) -> Tensor:
    """Applies what a model has behind the pooling to each token: (B, N, D) to (B, N, D').

    A token takes the places of the prefix as well, so that it is what is pooled in any case.
    """
    prefix = getattr(body, "num_prefix_tokens", 1)
    return _head(body, tokens[:, :, None].expand(-1, -1, prefix + 1, -1))


def _head(body: Any, rows: Tensor) -> Tensor:
    """Applies the head to each of N inputs of an image (B, N, ...) alone: (B, N, D')."""
    features: Tensor = body.forward_head(rows.flatten(0, 1))
    return features.view(*rows.shape[:2], -1)
