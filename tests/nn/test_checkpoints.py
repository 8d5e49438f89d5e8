"""Weights as other programs save them give the features that plain timm gives."""

import argparse
import json
import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from ssl_kit import RunError, UsageError
from ssl_kit.nn import create_encoder, load_initial_weights
from ssl_kit.nn.checkpoints import folders_of

RGB = ("red", "green", "blue")


def network(name, seed=1, **arguments):
    torch.manual_seed(seed)
    model = timm.create_model(name, num_classes=0, **arguments)
    for parameter in model.parameters():  # zeros would hide what is not loaded
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def images(size=64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))


def loaded(content, tmp_path, name="test_vit", size=64, **options):
    """Returns the features of an encoder with the weights of a file, and the sentence on them."""
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    encoder = create_encoder(name, 3, size, **options)
    sentence = load_initial_weights(encoder, str(file), RGB)
    with torch.no_grad():
        return encoder.eval()(images(size)), sentence


def features_of(model, size=64):
    with torch.no_grad():
        return model.eval()(images(size))


def by_timm(state, name, size, **options):
    """Returns the features of timm's own loading."""
    overlay = {"state_dict": dict(state), "num_classes": 0}
    return features_of(
        timm.create_model(
            name,
            pretrained=True,
            num_classes=0,
            img_size=size,
            pretrained_cfg_overlay=overlay,
            **options,
        ),
        size,
    )


SHALLOW = {"depth": 2}


@pytest.mark.filterwarnings("ignore")  # of torch, about how timm resamples
@pytest.mark.parametrize(
    ("name", "before", "after", "options"),
    [
        ("test_vit", 160, 64, {}),
        ("test_vit", 64, 96, {}),
        ("test_vit4", 160, 80, {}),
        ("vit_small_patch16_dinov3", 256, 64, SHALLOW),
        ("eva02_tiny_patch14_224", 224, 56, SHALLOW),
        ("swin_tiny_patch4_window7_224", 224, 64, {"depths": (1, 1, 1, 1)}),
        ("swinv2_cr_tiny_224", 224, 64, {"depths": (1, 1, 1, 1)}),
        ("beit_base_patch16_224", 224, 64, SHALLOW),
        ("deit3_small_patch16_224", 224, 64, SHALLOW),
    ],
)
def test_what_depends_on_the_image_size_is_resampled_as_timm_does(
    name, before, after, options, tmp_path
):
    state = network(name, img_size=before, **options).state_dict()
    features, sentence = loaded(state, tmp_path, name, after, **options)
    assert "missing" not in sentence
    expected = by_timm(state, name, after, **options)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)


def test_positions_that_timm_leaves_as_they_are_are_resampled_too(tmp_path):
    model = network("cait_xxs24_224", img_size=224, depth=2)
    encoder = create_encoder("cait_xxs24_224", 3, 64, depth=2)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    sentence = load_initial_weights(encoder, str(tmp_path / "w.pth"), RGB)
    assert "missing" not in sentence
    expected = timm.layers.resample_abs_pos_embed(model.pos_embed, [4, 4], num_prefix_tokens=0)
    torch.testing.assert_close(encoder.body.pos_embed, expected)


def test_patch_embeddings_of_another_size_are_resampled(tmp_path):
    state = network("vit_tiny_patch16_224", img_size=64, patch_size=8).state_dict()
    features, _ = loaded(state, tmp_path, "vit_tiny_patch16_224", 64)
    expected = by_timm(state, "vit_tiny_patch16_224", 64)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)


def with_prefix(prefix, state):
    return {prefix + key: value for key, value in state.items()}


HEAD = {"head.mlp.0.weight": torch.ones(8, 8)}
LAYOUTS = {
    "plain": lambda s: s,
    "model": lambda s: {"model": s, "epoch": 3},
    "lightning": lambda s: {"state_dict": with_prefix("model.backbone.", s), "hyper": {"lr": 1.0}},
    "module": lambda s: with_prefix("module.", s),
    "compiled": lambda s: with_prefix("_orig_mod.", s),
    "dino": lambda s: {"teacher": with_prefix("backbone.", s) | HEAD, "epoch": 3},
    "encoder": lambda s: {"net": {"state": with_prefix("encoder.", s)}},
    "lightly": lambda s: {
        "state_dict": with_prefix("backbone.", s)
        | with_prefix("backbone_momentum.", {k: torch.zeros_like(v) for k, v in s.items()})
        | {"projection_head.layers.0.weight": torch.ones(4, 4)}
    },
    "moco": lambda s: {
        "state_dict": with_prefix("module.encoder_q.", s)
        | with_prefix("module.encoder_k.", {k: torch.zeros_like(v) for k, v in s.items()})
        | {"module.queue": torch.ones(4, 4)}
    },
    "namespace": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1, epochs=3)},
    "ema": lambda s: {
        "state_dict": {k: torch.zeros_like(v) for k, v in s.items()},
        "state_dict_ema": s,
    },
}


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_features(layout, name, tmp_path):
    model = network(name, **({"img_size": 64} if name == "test_vit" else {}))
    features, _ = loaded(LAYOUTS[layout](model.state_dict()), tmp_path, name)
    torch.testing.assert_close(features, features_of(model), rtol=1e-5, atol=1e-5)


def test_the_sentence_tells_what_was_unwrapped(tmp_path):
    state = network("test_resnet").state_dict()
    student = with_prefix("backbone.", {k: torch.zeros_like(v) for k, v in state.items()})
    content = {"student": student, "teacher": with_prefix("backbone.", state) | HEAD}
    features, sentence = loaded(content, tmp_path, "test_resnet")
    assert "unwrapped 'teacher'; prefix 'backbone.' removed" in sentence
    assert "'student.backbone' would fit as well" in sentence
    assert "1 tensors of other parts left out" in sentence
    torch.testing.assert_close(features, features_of(network("test_resnet")))


def mae(state):
    decoder = {
        "decoder_embed.weight": torch.ones(4, 4),
        "decoder_blocks.0.norm1.bias": torch.ones(4),
    }
    return {"model": state | decoder | {"mask_token": torch.ones(1, 1, 4)}}


def test_the_decoder_of_mae_is_left_out(tmp_path):
    model = network("test_vit", img_size=64)
    features, sentence = loaded(mae(model.state_dict()), tmp_path)
    torch.testing.assert_close(features, features_of(model), rtol=1e-5, atol=1e-5)
    assert "3 tensors of a classifier or of pre-training left out" in sentence


def dinov2(model):
    """DINOv2's names: register_tokens, position embeddings with the class token, chunks."""
    state = dict(model.state_dict())
    state["register_tokens"] = state.pop("reg_token")
    class_position = torch.full_like(state["cls_token"], 0.1)
    state["cls_token"] = state["cls_token"] - class_position
    state["pos_embed"] = torch.cat([class_position, state["pos_embed"]], dim=1)
    state["mask_token"] = torch.zeros(1, state["cls_token"].shape[2])
    chunked = {re.sub(r"^blocks\.(\d+)\.", r"blocks.0.\1.", k): v for k, v in state.items()}
    return {"teacher": with_prefix("backbone.", chunked) | HEAD}


def test_dinov2_with_registers_and_chunks_of_blocks(tmp_path):
    options = {"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-5}
    model = network("test_vit", img_size=64, **options)
    features, _ = loaded(dinov2(model), tmp_path, "test_vit", 64, **options)
    torch.testing.assert_close(features, features_of(model), rtol=1e-5, atol=1e-5)


def hugging_face(state, prefix):
    """The names of transformers' ViTModel, by a slow inverse of the rule under test."""
    out = {}
    for key, value in state.items():
        if key in ("cls_token", "pos_embed"):
            name = {"cls_token": "cls_token", "pos_embed": "position_embeddings"}[key]
            out[f"{prefix}embeddings.{name}"] = value
        elif key.startswith("patch_embed.proj."):
            out[f"{prefix}embeddings.patch_embeddings.projection.{key[17:]}"] = value
        elif key.startswith("norm."):
            out[f"{prefix}layernorm.{key[5:]}"] = value
        else:
            _, number, *inner, kind = key.split(".")
            layer = f"{prefix}encoder.layer.{number}."
            inner = ".".join(inner)
            if inner == "attn.qkv":
                for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                    out[f"{layer}attention.attention.{part}.{kind}"] = piece
            else:
                name = {
                    "norm1": "layernorm_before",
                    "norm2": "layernorm_after",
                    "attn.proj": "attention.output.dense",
                    "mlp.fc1": "intermediate.dense",
                    "mlp.fc2": "output.dense",
                }[inner]
                out[f"{layer}{name}.{kind}"] = value
    return out


@pytest.mark.parametrize("prefix", ["", "vit.", "model.vit."])
def test_the_vit_of_hugging_face(prefix, tmp_path):
    name = "vit_tiny_patch16_224"
    model = network(name, img_size=64, depth=2)
    content = hugging_face(model.state_dict(), prefix)
    content[f"{prefix}pooler.dense.weight"] = torch.ones(2, 2)
    features, _ = loaded(content, tmp_path, name, 64, depth=2)
    torch.testing.assert_close(features, features_of(model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"init_values": 1e-5}, "init_values=1e-5"),
        ({"reg_tokens": 2, "no_embed_class": True}, "reg_tokens=2"),
        ({"qk_norm": True}, "qk_norm=true"),
    ],
)
def test_weights_without_a_place_name_the_argument_that_makes_room(options, argument, tmp_path):
    model = network("test_vit", img_size=64, **options)
    with pytest.raises(RunError, match=re.escape(f"--set encoder.arguments.{argument}")) as caught:
        loaded(model.state_dict(), tmp_path)
    assert "it has no place for" in str(caught.value)
    features, _ = loaded(model.state_dict(), tmp_path, "test_vit", 64, **options)
    torch.testing.assert_close(features, features_of(model), rtol=1e-5, atol=1e-5)


def test_an_argument_that_the_architecture_lacks_is_one_line():
    with pytest.raises(UsageError, match="'test_resnet' does not take the arguments reg_tokens=4"):
        create_encoder("test_resnet", 3, 64, reg_tokens=4)


def test_a_classifier_is_left_out_and_said(tmp_path):
    model = network("test_resnet")
    state = timm.create_model("test_resnet", num_classes=10).state_dict() | model.state_dict()
    features, sentence = loaded(state, tmp_path, "test_resnet")
    assert "2 tensors of a classifier or of pre-training left out" in sentence
    torch.testing.assert_close(features, features_of(model))


@pytest.fixture
def folder(tmp_path):
    """A model in the format of the hub, with LayerScale, and its features."""
    arguments = {"init_values": 1e-5, "img_size": 64}
    model = network("test_vit", **arguments)
    facts = {
        "architecture": "test_vit",
        "num_classes": 0,
        "num_features": 64,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "fixed_input_size": True,
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.2, 0.2],
            "num_classes": 0,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }
    (tmp_path / "model").mkdir()
    save_file(model.state_dict(), tmp_path / "model/model.safetensors")
    (tmp_path / "model/config.json").write_text(json.dumps(facts))
    return f"local-dir:{tmp_path / 'model'}", model


@pytest.mark.parametrize("size", [64, 96])
def test_a_folder_in_the_format_of_the_hub_is_an_encoder(folder, size, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *address: pytest.fail("asked the network"))
    name, _ = folder
    encoder = create_encoder(name, 3, size)
    load_initial_weights(encoder, "imagenet", RGB)
    assert (encoder.name, encoder.options) == ("test_vit", {"init_values": 1e-5})
    assert encoder.pretrained_statistics == ([0.4, 0.5, 0.6], [0.2, 0.2, 0.2])
    plain = timm.create_model(name, pretrained=True, num_classes=0, img_size=size)
    with torch.no_grad():
        features = encoder.eval()(images(size))
    torch.testing.assert_close(features, features_of(plain, size), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["local-dir:gone", "hf-hub:nobody/nothing"])
def test_a_model_that_cannot_be_read_is_one_line(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RunError, match=f"'{name}' cannot be read") as caught:
        create_encoder(name, 3, 64)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["test_vit", "vit_small_patch16_dinov3", "eva02_tiny_patch14_224"])
def test_all_tokens_are_those_of_timm(name):
    encoder = create_encoder(name, 3, 56 if "14" in name else 64, depth=2).eval()
    x = images(encoder.image_size)
    with torch.no_grad():
        tokens, expected = encoder.forward_tokens(x), encoder.body.forward_features(x)
        everything = torch.arange(tokens.shape[1] - encoder.num_prefix_tokens).expand(2, -1)
        kept = encoder.forward_tokens(x, everything)
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(kept, expected, rtol=1e-5, atol=1e-5)


def test_rotations_belong_to_the_patches_that_are_kept():
    encoder = create_encoder("vit_small_patch16_dinov3", 3, 64, depth=2).eval()
    keep = torch.stack([torch.randperm(16)[:5].sort().values for _ in range(2)])
    captured = []
    encoder.body.blocks[0].register_forward_pre_hook(
        lambda module, args, kwargs: captured.append(kwargs["rope"]), with_kwargs=True
    )
    with torch.no_grad():
        encoder.forward_tokens(images())
        encoder.forward_tokens(images(), keep)
    whole, kept = captured
    for image in range(2):
        for place, patch in enumerate(keep[image].tolist()):
            assert torch.equal(kept[image, 0, place], whole[patch])


def test_a_loading_that_gives_other_features_is_refused(tmp_path, monkeypatch):
    encoder = create_encoder("test_resnet", 3, 64)
    wrong = lambda state, x: torch.ones(2, encoder.num_features)  # noqa: E731
    monkeypatch.setattr(encoder, "reference_features", wrong)
    torch.save(network("test_resnet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(RunError, match="gives other features"):
        load_initial_weights(encoder, str(tmp_path / "w.pth"), RGB)


def test_other_channels_are_loaded_without_a_warning_of_timm(tmp_path, caplog):
    model = network("test_resnet", in_chans=4)
    save_file(model.state_dict(), tmp_path / "w.safetensors", {"channels": "b,g,r,nir"})
    encoder = create_encoder("test_resnet", 4, 64)
    load_initial_weights(encoder, str(tmp_path / "w.safetensors"), ("b", "g", "r", "nir"))
    assert caplog.text == ""


def test_no_weights_are_not_those_of_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder[0].removeprefix("local-dir:"))
    assert folders_of("") == []
    assert folders_of(".") == [Path()]
