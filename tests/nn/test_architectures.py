"""Weights that do not fit an encoder name the architecture that they are of."""

from argparse import Namespace

import pytest
import timm
import torch

from ssl_kit import RunError
from ssl_kit.nn import create_encoder
from ssl_kit.nn.architectures import architecture_of_weights
from ssl_kit.nn.weights import RGB, load_weights


def fits(*names):
    """Stands for the proof by shapes."""
    return lambda name: 1.0 if name in names else 0.0


@pytest.mark.parametrize(
    ("origin", "content"),
    [
        ("resnet50-19c8e357.pth", {}),
        ("models/resnet50.a1_in1k/model.safetensors", {}),
        ("a.pth", {"arch": "resnet50"}),
        ("a.pth", {"args": Namespace(model="resnet50")}),
        ("a.pth", {"args": {"arch": "resnet50"}}),
        ("a.pth", {"state_dict": {"module.layer1.0.conv1.weight": torch.zeros(1)}}),
    ],
)
def test_the_name_is_found(origin, content):
    assert architecture_of_weights(origin, content, fits("resnet50")) == "resnet50"


def test_a_name_in_a_config_beside_the_file_is_found(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "convnext_tiny"}')
    file = str(tmp_path / "model.safetensors")
    assert architecture_of_weights(file, {}, fits("convnext_tiny")) == "convnext_tiny"


def test_the_longest_name_is_tried_first():
    name = "tf_efficientnet_lite0"  # contains efficientnet_lite0
    assert architecture_of_weights(f"{name}.imagenet.pth", {}, lambda name: 1.0) == name


def test_a_name_that_the_weights_do_not_fit_does_not_count():
    assert architecture_of_weights("resnet50.pth", {}, fits("resnet18")) == ""


def test_a_refusal_gives_the_flag():
    state = timm.create_model("test_resnet", num_classes=10).state_dict()
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}}
    encoder = create_encoder("test_vit", 1, 32)
    with pytest.raises(RunError, match=r"They fit test_resnet: give --encoder test_resnet\.$"):
        load_weights(encoder, wrapped, RGB, ("gray",), "a/test_resnet.r160_in1k.pth")


def test_weights_of_no_known_architecture_ask_for_the_encoder():
    with pytest.raises(RunError, match=r"Choose the --encoder the weights were trained for\.$"):
        load_weights(create_encoder("test_vit", 1, 32), {"a": torch.ones(2)}, RGB, RGB, "a.pth")
