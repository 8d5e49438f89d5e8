"""Weights under the names of Hugging Face's transformers give the features of timm's names."""

import pathlib
import re

import numpy as np
import pytest
import timm
import torch

from ssl_kit import RunError
from ssl_kit.nn import create_encoder, load_initial_weights

SWIN = [
    (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    (r"^patch_embed\.norm", "embeddings.norm"),
    (r"^layers\.(\d)\.blocks", r"encoder.layers.\1.blocks"),
    (r"^layers\.1\.downsample", "encoder.layers.0.downsample"),
    (r"^layers\.2\.downsample", "encoder.layers.1.downsample"),
    (r"^layers\.3\.downsample", "encoder.layers.2.downsample"),
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
    (r"attn\.proj", "attention.output.dense"),
    (r"attn\.relative", "attention.self.relative"),
    (r"^norm\.", "layernorm."),
]
CONVNEXT = [
    (r"^stem\.0", "embeddings.patch_embeddings"),
    (r"^stem\.1", "embeddings.layernorm"),
    (r"^stages\.(\d)\.downsample", r"encoder.stages.\1.downsampling_layer"),
    (r"^stages\.(\d)\.blocks\.(\d+)\.norm", r"encoder.stages.\1.layers.\2.layernorm"),
    (r"^stages\.(\d)\.blocks", r"encoder.stages.\1.layers"),
    ("conv_dw", "dwconv"),
    (r"mlp\.fc", "pwconv"),
    ("gamma", "layer_scale_parameter"),
    (r"^head\.norm", "layernorm"),
]
RESNET = [
    (r"^conv1\.", "embedder.embedder.convolution."),
    (r"^bn1\.", "embedder.embedder.normalization."),
    *((rf"^layer{k}\.(\d)", rf"encoder.stages.{k - 1}.layers.\1") for k in range(1, 5)),
    *((rf"\.conv{k}\.", f".layer.{k - 1}.convolution.") for k in range(1, 4)),
    *((rf"\.bn{k}\.", f".layer.{k - 1}.normalization.") for k in range(1, 4)),
    (r"downsample\.0", "shortcut.convolution"),
    (r"downsample\.1", "shortcut.normalization"),
]


def renamed(state, patterns, prefix):
    out = {}
    for key, value in state.items():
        name = key
        for pattern, new in patterns:
            name = re.sub(pattern, new, name)
        if "attn.qkv" in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                out[prefix + name.replace("attn.qkv", f"attention.self.{part}")] = piece
        else:
            out[prefix + name] = value
    return out


@pytest.mark.parametrize(
    ("name", "patterns", "prefix", "options"),
    [
        ("swin_tiny_patch4_window7_224", SWIN, "swin.", {"depths": (1, 1, 1, 1), "embed_dim": 24}),
        ("convnext_atto", CONVNEXT, "convnext.", {"depths": (1, 1, 2, 1), "dims": (8, 8, 8, 8)}),
        ("resnet18", RESNET, "resnet.", {}),
    ],
)
def test_other_architectures_of_hugging_face(name, patterns, prefix, options, tmp_path):
    size = {"img_size": 64} if name.startswith("swin") else {}
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0, **options, **size).eval()
    torch.save(renamed(model.state_dict(), patterns, prefix), tmp_path / "pytorch_model.bin")
    encoder = create_encoder(name, 3, 64, **options)
    said = load_initial_weights(
        encoder, str(tmp_path / "pytorch_model.bin"), ("red", "green", "blue")
    )
    assert f"prefix '{prefix}' removed" in said
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(x), model(x), rtol=1e-5, atol=1e-5)


def refused(content, file):
    torch.save(content, file)
    with pytest.raises(RunError) as caught:
        load_initial_weights(create_encoder("test_vit", 3, 64), str(file), ("red", "green", "blue"))
    return str(caught.value)


def test_what_does_not_fit_is_called_by_its_cause(tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_kit.nn.architectures._COMMON", {})  # trying them takes seconds
    state = timm.create_model("test_vit", num_classes=0, img_size=64).state_dict()
    broken = {key: value * float("nan") for key, value in state.items()}
    assert "are not finite, the first 'cls_token'" in refused(broken, tmp_path / "a.pth")
    deeper = timm.create_model("test_vit", num_classes=0, img_size=64, depth=16).state_dict()
    assert refused(deeper, tmp_path / "b.pth").endswith("the weights were trained for.")
    assert "an object of timm.models" in refused(
        timm.create_model("test_vit", img_size=64), tmp_path / "c.pth"
    )


def test_plain_values_of_numpy_and_paths_may_stand_beside_weights(tmp_path):
    model = timm.create_model("test_vit", num_classes=0, img_size=64)
    others = {"best": np.float64(0.5), "curve": np.ones(3), "out": pathlib.Path("runs")}
    torch.save({"model": model.state_dict(), **others}, tmp_path / "a.pth")
    encoder = create_encoder("test_vit", 3, 64)
    load_initial_weights(encoder, str(tmp_path / "a.pth"), ("red", "green", "blue"))
    torch.testing.assert_close(encoder.body.state_dict(), model.state_dict())
