"""Which architecture of timm the weights of a file are of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

_NAMED = 8  # names in texts that are tried
_FITS = 0.9
_FACTS = ("architecture", "arch", "model", "model_name")
_FOLDERS = 3  # above the file, whose names are looked at
_COMMON = {
    r"layer1\.0\.conv1": "resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 "
    "resnext50_32x4d",
    r"blocks\.0\.attn\.qkv": "vit_tiny_patch16_224 vit_small_patch16_224 vit_base_patch16_224 "
    "vit_large_patch16_224 vit_small_patch14_dinov2 vit_base_patch14_dinov2 vit_small_patch8_224 "
    "vit_base_patch8_224",
    r"stages\.0\.(blocks\.)?0\.(conv_dw|dwconv)": "convnext_tiny convnext_small convnext_base "
    "convnextv2_tiny",
    r"layers\.0\.blocks\.0\.attn": "swin_tiny_patch4_window7_224 swin_small_patch4_window7_224 "
    "swin_base_patch4_window7_224",
    r"blocks\.0\.0\.conv_dw": "efficientnet_b0 tf_efficientnet_lite0 mobilenetv2_100 "
    "mobilenetv3_large_100 mobilenetv3_small_100 efficientnet_b1 efficientnet_b2 efficientnet_b3",
    r"denseblock1": "densenet121 densenet169 densenet201",
    r"s1\.b1\.conv1": "regnety_016 regnety_032 regnetx_016",
}
"""Common architectures, by a pattern that the names of their weights have."""


def architecture_of_weights(
    origin: str, checkpoint: Mapping[str, Any], share_of: Callable[[str], float]
) -> str:
    """Names the architecture that weights are of, "" if none is found.

    Names are looked for in the file (such as a key "arch"), in its path and in a config.json beside
    it. Without them, common architectures are tried whose weights are called so. A name counts
    only if the weights fit it.

    Args:
        origin: Path of the file.
        checkpoint: Its content, mappings nested to any depth.
        share_of: Returns the share of weights that fit an architecture, from 0 to 1.
    """
    tried = dict.fromkeys([*_named(_texts(Path(origin), checkpoint)), *_common(checkpoint)])
    return next((name for name in tried if share_of(name) >= _FITS), "")


def _named(text: str) -> list[str]:
    """Returns the names of timm's architectures that occur in a text, the longest first."""
    import timm

    text = text.lower().replace("-", "_")
    names = [name for name in timm.list_models() if name in text]
    whole = (n for n in names if re.search(rf"(?<![a-z0-9]){re.escape(n)}(?![a-z0-9])", text))
    return list(islice(sorted(whole, key=len, reverse=True), _NAMED))


def _texts(file: Path, checkpoint: Mapping[str, Any]) -> str:
    """Joins the texts that may name an architecture."""
    texts = list(file.parts[-1 - _FOLDERS :])
    arguments = checkpoint.get("args")  # of the script that wrote it
    for source in (checkpoint, getattr(arguments, "__dict__", arguments), _config_beside(file)):
        if isinstance(source, Mapping):
            texts += [value for key in _FACTS if isinstance(value := source.get(key), str)]
    return " ".join(texts)


def _config_beside(file: Path) -> Any:
    try:
        return json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _common(checkpoint: Mapping[str, Any]) -> Iterator[str]:
    """Yields common architectures whose weights have such names."""
    keys = "\n".join(_keys(checkpoint))
    for pattern, names in _COMMON.items():
        if re.search(pattern, keys):
            yield from names.split()


def _keys(checkpoint: Mapping[str, Any]) -> Iterator[str]:
    for key, value in checkpoint.items():
        if isinstance(value, Mapping):
            yield from _keys(value)
        elif isinstance(value, Tensor):
            yield str(key)
