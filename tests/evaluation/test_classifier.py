"""Which layers are trained, at which rate."""

import copy

import numpy as np
import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from ssl_kit import Encoder, UsageError
from ssl_kit.evaluation.classifier import Classifier, layerwise_optimizer
from ssl_kit.nn import create_encoder
from ssl_kit.nn.layers import layer_numbers

SMALL = ("test_resnet", "test_vit", "test_efficientnet", "test_convnext")


def classifier(name="test_resnet", classes=3, freeze="none"):
    torch.manual_seed(0)
    made = Classifier(create_encoder(name, 3, 32), classes)
    made.freeze(freeze)
    return made


def trained(model):
    """Names of the parameters that a loss on random images gives a gradient."""
    nn.init.normal_(model.head.weight)
    model.train()
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    return {name for name, p in model.named_parameters() if p.grad is not None}


def test_logits_are_the_head_of_the_features():
    model = classifier().eval()
    nn.init.normal_(model.head.weight)
    x = torch.randn(2, 3, 32, 32)
    expected = model.encoder(x) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected)


def test_the_encoder_is_a_copy():
    encoder = create_encoder("test_resnet", 3, 32)
    before = copy.deepcopy(encoder.state_dict())
    model = Classifier(encoder, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize("name", SMALL)
def test_without_freezing_every_parameter_learns(name):
    model = classifier(name)
    assert trained(model) == {n for n, _ in model.named_parameters()}


@pytest.mark.parametrize("name", SMALL)
def test_all_leaves_the_head(name):
    assert trained(classifier(name, freeze="all")) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("n", [1, 2])
def test_last_n_trains_n_layers_and_the_head(name, n):
    model = classifier(name, freeze=f"last:{n}")
    head = max(model.layers.values())
    expected = {parameter for parameter, layer in model.layers.items() if layer >= head - n}
    assert trained(model) == expected
    assert {model.layers[parameter] for parameter in expected} == set(range(head - n, head + 1))


def test_last_1_of_a_resnet_is_its_last_block():
    names = trained(classifier("test_resnet", freeze="last:1"))
    assert {name.rpartition(".")[0] for name in names if "conv" in name} == {
        "encoder.body.layer4.0.conv1",
        "encoder.body.layer4.0.conv2",
    }


def test_quartile_trains_the_last_quarter_of_the_layers():
    model = classifier("test_vit", freeze="quartile")
    layers = max(model.layers.values())
    free = {model.layers[n] for n, p in model.named_parameters() if p.requires_grad}
    assert free == set(range(layers - int(np.ceil(layers / 4)), layers + 1))


def test_more_layers_than_there_are():
    with pytest.raises(UsageError, match="last:99, but 'test_resnet' has 5 layers"):
        classifier(freeze="last:99")


def test_frozen_batch_statistics_stand_still():
    model = classifier(freeze="last:1")
    before = copy.deepcopy(dict(model.named_buffers()))
    model.train()
    model(torch.randn(4, 3, 32, 32))
    moved = {
        n.rpartition(".")[0] for n, b in model.named_buffers() if not torch.equal(b, before[n])
    }
    assert moved
    assert all("layer4" in name for name in moved)


@pytest.mark.parametrize("name", [*SMALL, "tf_efficientnet_lite0"])
def test_layer_decay_is_that_of_timm(name):
    size = {"img_size": 32} if "vit" in name else {}
    whole = timm.create_model(name, num_classes=3, **size)
    groups = param_groups_layer_decay(
        whole, 0.1, no_weight_decay_list=getattr(whole, "no_weight_decay", set)(), layer_decay=0.7
    )
    names = {id(p): n for n, p in whole.named_parameters()}
    expected = {
        names[id(p)]: (g["lr_scale"], g["weight_decay"]) for g in groups for p in g["params"]
    }
    model = classifier(name)
    ours = {id(p): n.removeprefix("encoder.body.") for n, p in model.named_parameters()}
    head = whole.pretrained_cfg["classifier"]
    found = {}
    for group in layerwise_optimizer(model, 1e-3, 0.1, 0.7).param_groups:
        for p in group["params"]:
            key = ours[id(p)].replace("head.", f"{head}.") if ours[id(p)] in (
                "head.weight", "head.bias") else ours[id(p)]  # fmt: skip
            found[key] = (group["lr_scale"], group["weight_decay"])
    assert found == expected


class Plain(Encoder):
    """An encoder that timm knows nothing about."""

    def __init__(self, name="plain", channels=3, image_size=32):
        super().__init__(name, channels, image_size)
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3))
        self.num_features = 6

    def forward(self, x):
        return self.body(x).mean((2, 3))


def test_an_encoder_unknown_to_timm_has_a_layer_per_child():
    numbers = layer_numbers(Plain().body)
    assert numbers == {"0.weight": 0, "0.bias": 0, "1.weight": 1, "1.bias": 1, "2.weight": 2,
                       "2.bias": 2, "head.weight": 3}  # fmt: skip
    model = Classifier(Plain(), 2)
    model.freeze("last:1")
    assert trained(model) == {f"encoder.body.2.{w}" for w in ("weight", "bias")} | {
        "head.weight", "head.bias"}  # fmt: skip
