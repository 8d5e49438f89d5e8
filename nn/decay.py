"""Parameters without weight decay."""

from __future__ import annotations

from torch import nn


def without_weight_decay(model: nn.Module) -> set[str]:
    """Returns the names of parameters for which a module inside a model asks for no weight decay.

    A module asks by timm's convention, a method `no_weight_decay()` that returns names of its own
    parameters. Vision transformers of timm name the class token and the position embeddings.
    """
    names: set[str] = set()
    for prefix, module in model.named_modules():
        asked = getattr(module, "no_weight_decay", None)
        if callable(asked):
            names |= {f"{prefix}.{name}".removeprefix(".") for name in asked()}
    return names
