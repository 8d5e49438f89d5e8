"""An encoder with a linear head, and which of its layers are trained, at which rate."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from timm.models import group_parameters
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import Tensor, nn

from ..core.encoder import Encoder
from ..core.errors import UsageError

_BODY = "encoder.body."
_HEAD = "head.weight"


class Classifier(nn.Module):
    """A copy of an encoder with a linear head on its pooled features; the head starts at zero.

    Args:
        encoder: Copied, so that it stays as it is.
        classes: K.

    Attributes:
        layers: Number of the layer of each parameter, as timm counts them; the head is the last.
    """

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        self.head = nn.Linear(encoder.num_features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        numbers = layer_numbers(self.encoder.body)
        last = numbers.pop(_HEAD)
        body = {_BODY + name: number for name, number in numbers.items()}
        self.layers = {name: body.get(name, last) for name, _ in self.named_parameters()}

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to logits (B, K)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """Tells timm which layer a parameter belongs to."""
        return self.layers.__getitem__

    def no_weight_decay(self) -> set[str]:
        """Tells timm which parameters of the encoder have no weight decay."""
        body: Any = self.encoder.body
        names = body.no_weight_decay() if hasattr(body, "no_weight_decay") else ()
        return {_BODY + name for name in names}

    def freeze(self, mode: str) -> None:
        """Lets gradients reach the layers that a mode trains, and no others.

        Args:
            mode: "none" trains everything, "all" the head, "last:N" the last N layers of the
                encoder and the head, "quartile" the last quarter of them and the head.

        Raises:
            UsageError: If the encoder has less than N layers.
        """
        head = max(self.layers.values())
        kept = {"none": head, "all": 0, "quartile": -(-head // 4)}
        trained = kept[mode] if mode in kept else int(mode.removeprefix("last:"))
        if trained > head:
            raise UsageError(
                f"freeze={mode}, but '{self.encoder.name}' has {head} layers. Choose fewer."
            )
        for name, parameter in self.named_parameters():
            in_head = name.startswith("head.")
            parameter.requires_grad_(
                in_head or (trained > 0 and self.layers[name] >= head - trained)
            )

    def train(self, mode: bool = True) -> Classifier:
        """Sets the mode; what is frozen stays in evaluation mode, its batch statistics too."""
        super().train(mode)
        for module in self.modules():
            mine = list(module.parameters())
            if mine and not any(parameter.requires_grad for parameter in mine):
                module.eval()
        return self


def layer_numbers(body: Any) -> dict[str, int]:
    """Numbers the layer of each parameter from 0, and that of a head to come, "head.weight".

    As timm counts them for layer-wise learning rates. A body that timm cannot group has one layer
    per child.
    """
    named = dict(body.named_parameters())
    if hasattr(body, "group_matcher"):
        whole: Any = SimpleNamespace(named_parameters=lambda: iter([*named.items(), (_HEAD, None)]))
        matcher = body.group_matcher(coarse=False)
        found: dict[str, int] = group_parameters(whole, matcher, reverse=True)
        return found
    children = list(dict.fromkeys(name.partition(".")[0] for name in named))
    numbers = {name: children.index(name.partition(".")[0]) for name in named}
    return {**numbers, _HEAD: len(children)}


def layerwise_optimizer(
    model: Classifier, lr: float, weight_decay: float, layer_decay: float
) -> torch.optim.Optimizer:
    """Makes AdamW with `lr_scale` = layer_decay^(distance from the head) in each layer's group.

    BEiT (Bao et al. 2021, https://arxiv.org/abs/2106.08254), appendix H, by timm.
    """
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        model,
        opt="adamw",
        lr=lr,
        weight_decay=weight_decay,
        layer_decay=layer_decay,
        fused=True,
    )
    return optimizer
