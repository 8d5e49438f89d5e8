import pytest
import timm
import torch

from ssl_kit import RunError, UnknownNameError
from ssl_kit.core.encoder import create_encoder
from ssl_kit.plugins.encoders.timm import TimmEncoder

# a pooled ResNet; a head wider than the features; layer norm; one with position embeddings;
# a head inside the features
ARCHITECTURES = [
    "resnet18",
    "mobilenetv3_small_100",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "test_efficientnet",
]


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_dim_is_the_width_of_the_features(name, size):
    encoder = TimmEncoder(name, 3, size).eval()
    with torch.no_grad():
        assert encoder(torch.randn(2, 3, size, size)).shape == (2, encoder.dim)


def test_dim_of_a_head_wider_than_its_maps():
    with torch.device("meta"):  # vgg11 has 128 million weights
        encoder = TimmEncoder("vgg11", 3, 32).eval()
        assert encoder(torch.randn(2, 3, 32, 32)).shape == (2, encoder.dim) == (2, 4096)


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_any_number_of_channels(channels):
    encoder = TimmEncoder("test_resnet", channels, 32).eval()
    assert encoder(torch.randn(2, channels, 32, 32)).shape == (2, encoder.dim)


@pytest.mark.parametrize(
    ("name", "cells"), [("resnet18", [32, 16, 8, 4, 2]), ("convnext_atto", [16, 8, 4, 2])]
)
def test_levels_are_a_pyramid_from_fine_to_coarse(name, cells):
    encoder = TimmEncoder(name, 3, 64).eval()
    with torch.no_grad():
        levels = encoder.levels(torch.randn(2, 3, 64, 64))
    assert [tuple(level.shape[2:]) for level in levels] == [(c, c) for c in cells]


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet18", (512, 2, 2)), ("vit_tiny_patch16_224", (192, 4, 4))]
)
def test_map_is_the_last_level(name, shape):
    encoder, x = TimmEncoder(name, 3, 64).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = encoder.map(x)
        assert torch.equal(found, encoder.levels(x)[-1])
    assert found.shape == (2, *shape)
    assert {"map", "levels"} <= encoder.provides


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "vit_tiny_patch16_224"])
def test_keys_and_shapes_are_timms_own(name):
    encoder = TimmEncoder(name, 4, 224)
    model = timm.create_model(name, num_classes=0, in_chans=4)
    assert {k: v.shape for k, v in encoder.body.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }


@pytest.mark.parametrize("name", [*ARCHITECTURES, "resnet18d"])
def test_first_layer_sees_the_channels(name):
    encoder = TimmEncoder(name, 5, 32)
    assert encoder.body.state_dict()[encoder.first_layer].shape[1] == 5


def test_position_embeddings_are_built_for_the_size_of_the_images():
    encoder = TimmEncoder("vit_tiny_patch16_224", 3, 64)
    assert encoder.body.pos_embed.shape[1] == 1 + 4 * 4


def test_a_pretrained_tag_is_part_of_the_name():
    encoder = TimmEncoder("resnet18.a1_in1k", 3, 32)
    assert encoder.name == "resnet18.a1_in1k"
    assert encoder.dim == 512


def test_statistics_are_those_of_the_weights():
    mean, std = TimmEncoder("resnet18", 3, 32).pretrained_statistics
    assert mean == pytest.approx([0.485, 0.456, 0.406])
    assert std == pytest.approx([0.229, 0.224, 0.225])


def test_an_unknown_architecture_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'resnet81'.*mean 'resnet"):
        create_encoder("resnet81", 3, 32)


def test_imagenet_weights_that_cannot_be_had_say_what_to_do(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    encoder = TimmEncoder("test_resnet", 3, 32)
    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(RunError, match=r"'test_resnet' cannot be had here .*--init FILE"):
        encoder.imagenet()
