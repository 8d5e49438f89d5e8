import pytest
import timm
import torch
from huggingface_hub import constants

from ssl_kit import RunError, UnknownNameError, UsageError
from ssl_kit.nn.weights import create_encoder, load_weights
from ssl_kit.plugins import hub
from ssl_kit.plugins.encoders import timm_downloads
from ssl_kit.plugins.encoders.timm import TimmEncoder
from ssl_kit.plugins.encoders.timm_downloads import how_to_download

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
        assert encoder(torch.randn(2, 3, size, size)).shape == (2, encoder.num_features)


def test_dim_of_a_head_wider_than_its_maps():
    with torch.device("meta"):  # vgg11 has 128 million weights
        encoder = TimmEncoder("vgg11", 3, 32).eval()
        assert encoder(torch.randn(2, 3, 32, 32)).shape == (2, encoder.num_features) == (2, 4096)


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_any_number_of_channels(channels):
    encoder = TimmEncoder("test_resnet", channels, 32).eval()
    assert encoder(torch.randn(2, channels, 32, 32)).shape == (2, encoder.num_features)


@pytest.mark.parametrize(
    ("name", "cells"), [("resnet18", [32, 16, 8, 4, 2]), ("convnext_atto", [16, 8, 4, 2])]
)
def test_levels_are_a_pyramid_from_fine_to_coarse(name, cells):
    encoder = TimmEncoder(name, 3, 64).eval()
    with torch.no_grad():
        levels = encoder.forward_pyramid(torch.randn(2, 3, 64, 64))
    assert [tuple(level.shape[2:]) for level in levels] == [(c, c) for c in cells]


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet18", (512, 2, 2)), ("vit_tiny_patch16_224", (192, 4, 4))]
)
def test_map_is_the_last_level(name, shape):
    encoder, x = TimmEncoder(name, 3, 64).eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = encoder.forward_map(x)
        assert torch.equal(found, encoder.forward_pyramid(x)[-1])
    assert found.shape == (2, *shape)
    assert {"map", "pyramid"} <= encoder.provides


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
    assert encoder.num_features == 512


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
    monkeypatch.setattr("socket.getaddrinfo", fail)
    address = "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
    with pytest.raises(RunError, match=r"'test_resnet' are unavailable .*--init FILE") as raised:
        encoder.imagenet()
    assert "'model.safetensors' of the Hugging Face repository" in str(raised.value)
    assert address in str(raised.value)
    assert "--imagenet-weights FILE" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gcvit_base.in1k", "'gcvit_base_224_nvidia-f009139b.pth' on another computer (https://"),
        ("coatnet_0_224", "publishes no weights of this architecture. Choose another --encoder"),
    ],
)
def test_weights_that_are_on_no_hub_or_nowhere_are_named_so(name, told):
    assert told in how_to_download(name, timm.get_pretrained_cfg(name))


def test_without_a_network_the_hub_is_not_asked_again_and_again(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    seen = []
    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with timm_downloads.without_retries("resnet18"):
        seen.append(constants.HF_HUB_OFFLINE)
    assert (seen, constants.HF_HUB_OFFLINE) == ([True], False)


def test_an_encoder_of_the_hub_says_which_files_to_copy(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr(timm.models._hub, "load_model_config_from_hf", fail)
    told = r"'config.json' and 'model.safetensors' of https://huggingface.co/o/n/tree/main .*local-"
    with pytest.raises(RunError, match=told):
        TimmEncoder("hf-hub:o/n", 3, 32)


@pytest.fixture
def vit():
    torch.manual_seed(0)
    return TimmEncoder("test_vit", 3, 64).eval()


def test_gradients_of_tiny_images_are_those_of_full_precision():
    def gradients(mixed):
        torch.manual_seed(0)
        encoder, x = TimmEncoder("test_resnet", 3, 16), torch.randn(8, 3, 16, 16)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            (encoder(x).sum() + encoder.forward_map(x).square().sum()).backward()
        return [p.grad for p in encoder.parameters()]

    for mixed, full in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(mixed, full)


def patches(vit, *args):
    """Tokens without that of the class."""
    return vit.forward_tokens(*args)[:, vit.num_prefix_tokens :]


def test_tokens_are_the_class_token_and_the_cells_of_the_map(vit):
    x = torch.randn(2, 3, 64, 64)
    tokens, cells = vit.forward_tokens(x), vit.forward_map(x)
    assert vit.num_prefix_tokens == 1
    torch.testing.assert_close(tokens[:, 0], vit(x))  # it pools by the class token
    torch.testing.assert_close(tokens[:, 1:], cells.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("name", ["test_vit", "resnet18"])
def test_features_are_what_forward_and_levels_return(name):
    encoder, x = TimmEncoder(name, 3, 64).eval(), torch.randn(2, 3, 64, 64)
    pooled, maps = encoder.forward_features(x)
    torch.testing.assert_close(pooled, encoder(x))
    assert all(torch.equal(a, b) for a, b in zip(maps, encoder.forward_pyramid(x), strict=True))
    assert [tuple(m.shape[1:]) for m in maps] == encoder.pyramid_shapes(64)


def test_the_last_normalization_of_a_vit_is_trained_by_its_maps(vit):
    vit.forward_map(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert vit.body.norm.weight.grad is not None


@pytest.mark.parametrize("name", ["test_efficientnet", "resnet18", "test_vit", "test_convnext"])
def test_all_weights_are_trained_by_the_last_map(name):
    encoder = TimmEncoder(name, 3, 64)
    encoder.forward_map(torch.randn(2, 3, 64, 64)).square().sum().backward()
    without = {n for n, p in encoder.body.named_parameters() if p.grad is None}
    assert all(name.startswith("head.norm") for name in without)  # ConvNeXt's is behind the pooling


def test_all_tokens_kept_are_all_tokens_in_their_order(vit):
    x, order = torch.randn(2, 3, 64, 64), torch.stack([torch.randperm(16) for _ in range(2)])
    expected = patches(vit, x).gather(1, order[..., None].expand(-1, -1, vit.num_features))
    torch.testing.assert_close(patches(vit, x, order), expected, rtol=1e-4, atol=1e-5)


def test_tokens_do_not_see_the_patches_that_are_dropped(vit):
    x, keep = torch.randn(2, 3, 64, 64), torch.tensor([[0, 5, 6], [2, 3, 15]])
    mask = torch.zeros(2, 16).scatter(1, keep, 1).bool().view(2, 1, 4, 4)
    kept = mask.repeat_interleave(16, 2).repeat_interleave(16, 3)
    tokens = vit.forward_tokens(x, keep)
    assert tokens.shape == (2, 1 + 3, vit.num_features)
    torch.testing.assert_close(vit.forward_tokens(torch.where(kept, x, 9.0), keep), tokens)


def test_tokens_of_images_of_another_size(vit):
    assert vit.forward_tokens(torch.randn(2, 3, 32, 48)).shape == (2, 1 + 6, vit.num_features)


def test_a_view_that_is_no_multiple_of_the_patch_is_padded():
    encoder = create_encoder("vit_tiny_patch16_224", 3, 48).eval()
    image = torch.randn(2, 3, 40, 40)
    padded = torch.nn.functional.pad(image, (0, 8, 0, 8))
    torch.testing.assert_close(encoder(image), encoder(padded))


def pooled(name, part, size=64, **options):
    torch.manual_seed(0)
    encoder = TimmEncoder(name, 3, size, **options).eval()
    encoder.pool_from(part)
    return encoder


@torch.no_grad()
def test_what_is_pooled_is_the_mean_of_the_normalized_patch_tokens():
    encoder, x = pooled("test_vit", "map"), torch.randn(2, 3, 64, 64)
    tokens = encoder.body.norm(
        encoder.body.blocks(encoder.body._pos_embed(encoder.body.patch_embed(x)))
    )
    torch.testing.assert_close(encoder(x), tokens[:, 1:].mean(dim=1))
    assert encoder.options == {"global_pool": "avg", "fc_norm": False}
    assert encoder.pooling == "the mean of the patch tokens, not the class token"


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit", "test_vit3"])
def test_plain_timm_gives_the_pooled_features_with_the_same_keys(name):
    encoder, x = pooled(name, "map"), torch.randn(2, 3, 64, 64)
    plain = timm.create_model(name, **encoder.arguments).eval()
    plain.load_state_dict(encoder.body.state_dict())
    torch.testing.assert_close(encoder(x), plain(x))


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_resnet", "test_vit2", "test_convnext", "test_mambaout"])
def test_pooling_of_maps_stays_as_it_is(name):
    torch.manual_seed(0)
    before, x = TimmEncoder(name, 3, 64).eval(), torch.randn(2, 3, 64, 64)
    encoder = pooled(name, "map")
    assert torch.equal(encoder(x), before(x))
    assert encoder.options == before.options
    assert encoder.pooling == ""


def test_pooling_changes_neither_weights_nor_random_numbers():
    torch.manual_seed(0)
    plain, after = TimmEncoder("test_vit", 3, 64), torch.rand(1)
    encoder = pooled("test_vit", "map")
    assert torch.equal(torch.rand(1), after)
    assert all(
        map(torch.equal, plain.body.state_dict().values(), encoder.body.state_dict().values())
    )


def test_the_class_token_stays_where_all_tokens_are_trained():
    assert pooled("test_vit", "tokens").options == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["swin_tiny_patch4_window7_224", "mobilenetv3_small_050", "test_convnext", "hgnetv2_b0"]
)
def test_what_is_behind_the_pooling_is_trained_by_maps(name):
    encoder, x = pooled(name, "map").train(), torch.randn(2, 3, 64, 64)
    (encoder.forward_map(x) * torch.randn(1)).square().sum().backward()
    assert [n for n, p in encoder.body.named_parameters() if p.grad is None] == []


def test_features_of_weights_that_are_not_trained_are_refused():
    with pytest.raises(UsageError, match="weights that this objective does not train"):
        pooled("deit_tiny_distilled_patch16_224", "map")


def test_a_view_of_part_of_a_patch_is_padded_where_timm_takes_other_sizes():
    assert TimmEncoder("test_vit2", 3, 64)(torch.randn(1, 3, 57, 64)).shape == (1, 64)


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit", "test_vit3", "vit_tiny_patch16_224"])
def test_plain_timm_gives_the_features_of_images_of_parts_of_patches(name):
    encoder, x = create_encoder(name, 3, 40).eval(), torch.randn(2, 3, 40, 40)
    plain = timm.create_model(name, **encoder.arguments).eval()
    plain.load_state_dict(encoder.body.state_dict())
    torch.testing.assert_close(plain(x), encoder(x))
    again = create_encoder(name, 3, 40, **encoder.options)
    load_weights(again, encoder.body.state_dict(), "RGB", "RGB", "weights")
    assert create_encoder(name, 3, 48).options == {}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("vit_small_patch16_rope_224", r"pixels: .*--image-size, such as 32 or 48\.$"),
        ("xcit_nano_12_p16_224", r"cannot be built for images of 40 pixels: `patch_size` should"),
        ("vit_tiny_r_s16_p8_224", r"pixels: it does not divide them evenly\. Choose another"),
    ],
)
def test_an_image_size_that_is_not_taken_is_one_line(name, told):
    with pytest.raises(UsageError, match=told):
        create_encoder(name, 3, 40)
