"""The ResNets that timm and torchvision both have, under the same names of weights.

So they fit torchvision's detectors and segmentation networks, which are built on its own ResNets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from safetensors.torch import load_file
from torch import Tensor, nn

from ...core.atomic import write_atomic
from ...core.errors import UsageError
from .common import Loaded, Source, write_json

_STAGES = ("layer1", "layer2", "layer3", "layer4")


def twins() -> list[str]:
    """Names the architectures that torchvision's ResNet builds; timm has all of them."""
    from torchvision import models

    return [
        name
        for name in models.list_models()
        if models.get_model_builder(name).__module__ == "torchvision.models.resnet"
    ]


def write_torchvision(source: Source, out: Path) -> Loaded:
    """Writes `weights.safetensors` of torchvision's ResNet, and `encoder.json`.

    Weights of an encoder lack "fc", those of a classifier have it.

    Raises:
        UsageError: If torchvision has no such network.
    """
    encoder = source.encoder
    name = encoder.name.partition(".")[0]
    if name not in twins():
        other = "timm" if timm.is_model(name) else "safetensors"
        raise UsageError(
            f"torchvision has no network with the weights of '{encoder.name}', only of "
            f"{', '.join(twins())}. Use --format {other}; for a detector on any encoder with a "
            "pyramid, 'ssl-kit evaluate --evaluation detection'."
        )
    weights = out / "weights.safetensors"
    write_atomic(weights, source.weights)
    write_json(out / "encoder.json", {**source.facts, "torchvision": name})
    return _load(name, encoder.channels, len(source.classes), weights)


def _load(name: str, channels: int, classes: int, weights: Path) -> Loaded:
    """Reads the weights into torchvision's network; other than three channels need a new conv1."""
    from torchvision import models
    from torchvision.models.feature_extraction import create_feature_extractor

    net: Any = models.get_model(name, weights=None)
    net.fc = nn.Linear(net.fc.in_features, classes) if classes else nn.Identity()
    net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    net.load_state_dict(load_file(weights))
    stages = create_feature_extractor(net.eval(), list(_STAGES))

    def maps(x: Tensor) -> list[Tensor]:
        return list(stages(x).values())

    return Loaded(net, maps)
