"""Names of weights in Hugging Face's transformers, and those of timm.

Each layout has a mark that its keys contain, and patterns that turn them into timm's names. Of
queries, keys and values that are apart, the names are the same but for these words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor


class Layout(NamedTuple):
    """One family of architectures: its mark, its patterns, and how queries are called."""

    mark: str
    patterns: tuple[tuple[str, str], ...]
    query: str = ""


# In the blocks of ViT and Swin, and the last normalization.
_BLOCK = (
    (r"attention\.output\.dense\.", "attn.proj."),
    (r"layernorm_before\.", "norm1."),
    (r"layernorm_after\.", "norm2."),
    (r"intermediate\.dense\.", "mlp.fc1."),
    (r"(blocks\.\d+\.)output\.dense\.", r"\1mlp.fc2."),
    (r"(^|\.)layernorm\.", r"\1norm."),
)

_VIT = Layout(
    ".attention.attention.query.",
    (
        (r"embeddings\.cls_token$", "cls_token"),
        (r"embeddings\.mask_token$", "mask_token"),
        (r"embeddings\.register_tokens$", "register_tokens"),
        (r"embeddings\.position_embeddings$", "pos_embed"),
        (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"encoder\.layer\.(\d+)\.", r"blocks.\1."),
        (r"attention\.attention\.qkv\.", "attn.qkv."),
        (r"layer_scale(\d)\.lambda1$", r"ls\1.gamma"),
        (r"mlp\.weights_in\.", "mlp.fc1."),
        (r"mlp\.weights_out\.", "mlp.fc2."),
        *_BLOCK,
    ),
    ".attention.attention.query.",
)

_SWIN = Layout(
    ".attention.self.relative_position_bias_table",
    (
        (r"embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"embeddings\.norm\.", "patch_embed.norm."),
        (r"encoder\.layers\.(\d+)\.blocks\.", r"layers.\1.blocks."),
        (r"encoder\.layers\.0\.downsample\.", "layers.1.downsample."),
        (r"encoder\.layers\.1\.downsample\.", "layers.2.downsample."),
        (r"encoder\.layers\.2\.downsample\.", "layers.3.downsample."),
        (r"attention\.self\.(qkv|relative)", r"attn.\1"),
        *_BLOCK,
    ),
    ".attention.self.query.",
)

_CONVNEXT = Layout(
    "encoder.stages.0.layers.0.dwconv.",
    (
        (r"embeddings\.patch_embeddings\.", "stem.0."),
        (r"embeddings\.layernorm\.", "stem.1."),
        (r"encoder\.stages\.(\d+)\.downsampling_layer\.", r"stages.\1.downsample."),
        (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.", r"stages.\1.blocks.\2."),
        (r"dwconv\.", "conv_dw."),
        (r"pwconv(\d)\.", r"mlp.fc\1."),
        (r"layer_scale_parameter$", "gamma"),
        (r"(blocks\.\d+\.)layernorm\.", r"\1norm."),
        (r"(^|\.)layernorm\.", r"\1head.norm."),
    ),
)

_RESNET = Layout(
    "embedder.embedder.convolution.",
    (
        (r"embedder\.embedder\.convolution\.", "conv1."),
        (r"embedder\.embedder\.normalization\.", "bn1."),
        *((rf"encoder\.stages\.{k}\.layers\.(\d+)\.", rf"layer{k + 1}.\1.") for k in range(4)),
        *((rf"\.layer\.{k}\.convolution\.", f".conv{k + 1}.") for k in range(3)),
        *((rf"\.layer\.{k}\.normalization\.", f".bn{k + 1}.") for k in range(3)),
        (r"shortcut\.convolution\.", "downsample.0."),
        (r"shortcut\.normalization\.", "downsample.1."),
    ),
)

_LAYOUTS = (_VIT, _SWIN, _CONVNEXT, _RESNET)


def in_timm_names(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Returns a state dict of transformers under timm's names, None if it is none.

    Queries, keys and values of a layer, three (D, D), become one (3D, D).
    """
    layout = next((one for one in _LAYOUTS if any(one.mark in key for key in state)), None)
    if layout is None:
        return None
    joined = _joined(state, layout.query) if layout.query else state
    return {
        _renamed(key, layout): value for key, value in joined.items() if ".pooler." not in f".{key}"
    }


def _renamed(key: str, layout: Layout) -> str:
    for pattern, name in layout.patterns:
        key = re.sub(pattern, name, key)
    return key


def _joined(state: dict[str, Tensor], query: str) -> dict[str, Tensor]:
    """Joins the queries, keys and values of each layer."""
    others = tuple(query.replace("query", word) for word in ("key", "value"))
    joined = {}
    for key, value in state.items():
        if query in key:
            parts = (state[key.replace(query, word)] for word in (query, *others))
            joined[key.replace(query, query.replace("query", "qkv"))] = torch.cat([*parts])
        elif not any(word in key for word in others):
            joined[key] = value
    return joined
