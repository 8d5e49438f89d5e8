"""An encoder with a linear head: which of its layers are trained, at which learning rate."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import Tensor, nn

from ..core.encoder import Encoder
from ..core.errors import UsageError
from ..nn.layers import HEAD, layer_numbers

_BODY = "encoder.body."


class Classifier(nn.Module):
    """A copy of an encoder with a linear head on its pooled features; the head starts at zero.

    Args:
        encoder: Copied, so that it stays as it is.
        classes: Number of classes (K).

    Attributes:
        layers: Layer number of each parameter, as timm counts layers; the head is the last layer.
    """

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        self.head = nn.Linear(encoder.num_features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        numbers = layer_numbers(self.encoder.body)
        last = numbers.pop(HEAD)
        body = {_BODY + name: number for name, number in numbers.items()}
        self.layers = {name: body.get(name, last) for name, _ in self.named_parameters()}

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to logits (B, K)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """Returns what maps a parameter's name to its layer number, for timm."""
        return self.layers.__getitem__

    def no_weight_decay(self) -> set[str]:
        """Returns the names of the encoder's parameters without weight decay, for timm."""
        body: Any = self.encoder.body
        names = body.no_weight_decay() if hasattr(body, "no_weight_decay") else ()
        return {_BODY + name for name in names}

    def freeze(self, mode: str) -> None:
        """Freezes layers of the encoder; the head is always trained.

        Args:
            mode: "none" freezes no layer, "all" all layers, "last:N" all but the last N,
                "quartile" all but the last quarter.

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
        """Sets the mode; frozen modules stay in evaluation mode, so their statistics stay too."""
        super().train(mode)
        for module in self.modules():
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
        return self


def head_name(encoder: Encoder) -> str:
    """Returns the name of the head in timm's model; "head" for an encoder that timm lacks."""
    name: Any = getattr(encoder.body, "pretrained_cfg", {}).get("classifier") or "head"
    return str(name if isinstance(name, str) else name[0])


def layerwise_optimizer(
    model: Classifier, lr: float, weight_decay: float, layer_decay: float
) -> torch.optim.Optimizer:
    """Returns AdamW with `lr_scale` = layer_decay^(distance from the head) for each layer.

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
