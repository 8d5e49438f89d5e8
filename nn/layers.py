"""Layers of an encoder, as timm counts them: which comes first, and freezing the first of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from timm.models import group_parameters
from torch.nn.modules.batchnorm import _BatchNorm

from ..core.encoder import Encoder
from ..core.errors import UsageError
from .batch_norm import freeze_statistics

HEAD = "head.weight"


def layer_numbers(body: Any) -> dict[str, int]:
    """Returns the layer number of each parameter, from 0, and that of a new "head.weight".

    Layers are counted as timm does for layer-wise learning rates. In a model that timm cannot
    group, each child module is a layer.
    """
    named = dict(body.named_parameters())
    if hasattr(body, "group_matcher"):
        whole: Any = SimpleNamespace(named_parameters=lambda: iter([*named.items(), (HEAD, None)]))
        matcher = body.group_matcher(coarse=False)
        layers: dict[str, int] = group_parameters(whole, matcher, reverse=True)
        return layers
    children = list(dict.fromkeys(name.partition(".")[0] for name in named))
    numbers = {name: children.index(name.partition(".")[0]) for name in named}
    return {**numbers, HEAD: len(children)}


def freeze_first_layers(encoder: Encoder, count: int) -> None:
    """Freezes the first layers of an encoder: weights and statistics of batch normalization.

    Args:
        encoder: Changed in place.
        count: Number of layers, as `layer_numbers` counts them; 0 changes nothing.

    Raises:
        UsageError: If no layer would be left to train.
    """
    if not count:
        return
    numbers = layer_numbers(encoder.body)
    del numbers[HEAD]
    layers = max(numbers.values()) + 1
    if count >= layers:
        raise UsageError(
            f"encoder.frozen_layers={count} leaves nothing to train: '{encoder.name}' has {layers} "
            "layers. Choose fewer."
        )
    for name, parameter in encoder.body.named_parameters():
        if numbers[name] < count:
            parameter.requires_grad_(False)
    for module in encoder.body.modules():
        weights = list(module.parameters(recurse=False))
        if isinstance(module, _BatchNorm) and weights and not weights[0].requires_grad:
            freeze_statistics(module)


def has_batch_norm(encoder: Encoder) -> bool:
    """Tells whether an encoder has batch normalization."""
    return any(isinstance(module, _BatchNorm) for module in encoder.body.modules())


def freeze_all_statistics(encoder: Encoder) -> None:
    """Keeps the statistics of every batch normalization, so that training uses those of the start.

    Batches of augmented views have other statistics than the whole images that an encoder is used
    for; the weights of a short training hardly follow.

    Args:
        encoder: Changed in place; one without batch normalization is as before.
    """
    for module in encoder.body.modules():
        if isinstance(module, _BatchNorm):
            freeze_statistics(module)
