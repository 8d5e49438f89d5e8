from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from ssl_kit import UsageError
from ssl_kit.nn import create_encoder, load_initial_weights
from ssl_kit.nn.batch_norm import sync_batch_norm
from ssl_kit.plugins.encoders.attention import CBAM, ECA, SqueezeExcitation, kernel_width
from ssl_kit.plugins.encoders.with_attention import AttentionEncoder, _stages

FAMILIES = ("cbam", "se", "eca")
LITE = "tf_efficientnet_lite0"


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def awake(module: nn.Module) -> nn.Module:
    """Gives the zero weights values."""
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    return module.double()


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def pooled(x):
    """Mean and maximum of each channel, with loops."""
    flat = [[channel.flatten().tolist() for channel in image] for image in x]
    return [[(sum(c) / len(c), max(c)) for c in image] for image in flat]


def bottleneck(insert, values):
    """W2 relu(W1 v) with loops."""
    w1, w2 = insert.squeeze.weight[:, :, 0, 0].tolist(), insert.excite.weight[:, :, 0, 0].tolist()
    hidden = [max(0.0, sum(a * b for a, b in zip(row, values, strict=True))) for row in w1]
    return [sum(a * b for a, b in zip(row, hidden, strict=True)) for row in w2]


def test_squeeze_excitation_is_equations_2_to_4_with_twice_the_gate() -> None:
    insert, x = awake(SqueezeExcitation(6)), torch.randn(2, 6, 3, 4, dtype=torch.float64)
    out = insert(x)
    for b, image in enumerate(pooled(x)):
        z = bottleneck(insert, [mean for mean, _ in image])
        for c in range(6):
            expected = x[b, c] * 2 * sigmoid(2 * z[c])
            assert (out[b, c] - expected).abs().max() < 1e-9


def test_cbam_is_equations_1_to_3_with_twice_the_gate() -> None:
    insert, x = awake(CBAM(6, kernel=3)), torch.randn(2, 6, 4, 5, dtype=torch.float64)
    out, kernel = insert(x), insert.spatial.weight[0].tolist()
    for b, image in enumerate(pooled(x)):
        mean = bottleneck(insert, [mean for mean, _ in image])
        largest = bottleneck(insert, [largest for _, largest in image])
        middle = [x[b, c] * 2 * sigmoid(2 * (mean[c] + largest[c])) for c in range(6)]
        for i in range(4):
            for j in range(5):
                z = 0.0
                for k in range(3):
                    for m in range(3):
                        y, x_ = i + k - 1, j + m - 1
                        if 0 <= y < 4 and 0 <= x_ < 5:
                            column = [middle[c][y, x_].item() for c in range(6)]
                            z += kernel[0][k][m] * sum(column) / 6 + kernel[1][k][m] * max(column)
                for c in range(6):
                    expected = middle[c][i, j].item() * 2 * sigmoid(2 * z)
                    assert abs(out[b, c, i, j].item() - expected) < 1e-9


def test_eca_is_equation_5_with_twice_the_gate() -> None:
    insert, x = awake(ECA(8)), torch.randn(2, 8, 3, 3, dtype=torch.float64)
    out, kernel = insert(x), insert.beside.weight[0, 0].tolist()
    half = len(kernel) // 2
    for b, image in enumerate(pooled(x)):
        means = [mean for mean, _ in image]
        for c in range(8):
            near = range(max(0, c - half), min(8, c + half + 1))
            z = sum(kernel[n - c + half] * means[n] for n in near)
            assert (out[b, c] - x[b, c] * 2 * sigmoid(2 * z)).abs().max() < 1e-9


def test_kernel_widths_are_those_of_the_paper() -> None:
    assert [kernel_width(c) for c in (64, 128, 256, 512, 2048)] == [3, 5, 5, 5, 7]


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        *((family, "resnet18") for family in FAMILIES),
        ("se", "regnetx_002"),
        ("cbam", "convnext_atto"),
    ],
)
def test_starts_as_the_plain_network(family: str, architecture: str) -> None:
    torch.manual_seed(1)
    plain = create_encoder(architecture, 3, 64).eval()
    with_attention = create_encoder(f"{family}/{architecture}", 3, 64).eval()
    missing = with_attention.body.load_state_dict(plain.body.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert missing.missing_keys
    assert all(key.startswith(f"{family}.") for key in missing.missing_keys)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(with_attention(x), plain(x))
        both = zip(with_attention.forward_pyramid(x), plain.forward_pyramid(x), strict=True)
        assert all(torch.equal(a, b) for a, b in both)


@pytest.mark.parametrize(
    ("architecture", "stages"),
    [
        ("resnest14d", ["layer1", "layer2", "layer3", "layer4"]),
        ("vgg11", ["features.4", "features.9", "features.14", "features.19"]),
    ],
)
def test_attention_follows_the_stages(architecture: str, stages: list[str]) -> None:
    with torch.device("meta"):
        network = timm.create_model(architecture)
    assert [name for name, _ in _stages(network)] == stages


def test_stages_of_several_maps_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="'eca' needs a CNN, and 'hrnet_w18_small' is none"):
        create_encoder("eca/hrnet_w18_small", 3, 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_acts_on_features_and_maps_once_awake(family: str) -> None:
    encoder = create_encoder(f"{family}/test_resnet", 3, 32).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before, level = encoder(x), encoder.forward_map(x)
        for weight in getattr(encoder.body, family).parameters():
            nn.init.normal_(weight, std=0.5)
        assert not torch.allclose(encoder(x), before)
        assert not torch.allclose(encoder.forward_map(x), level)
        features, levels = encoder.forward_features(x)
        torch.testing.assert_close(features, encoder(x))
        torch.testing.assert_close(levels[-1], encoder.forward_map(x))


@pytest.mark.parametrize(
    ("family", "architecture"), [*((family, "resnet18") for family in FAMILIES), ("cbam", LITE)]
)
def test_plain_weights_match_more_than_nine_tenths(
    family: str, architecture: str, tmp_path: Path
) -> None:
    plain = create_encoder(architecture, 3, 64)
    torch.save(plain.body.state_dict(), tmp_path / "plain.pt")
    encoder = create_encoder(f"{family}/{architecture}", 1, 64)
    said = load_initial_weights(encoder, str(tmp_path / "plain.pt"), ("gray",))
    matched, _, total = said.partition(": ")[2].split(" weights")[0].split(" ")[:3]
    assert int(matched) >= 0.9 * int(total)


def test_real_imagenet_weights_give_the_plain_features(real_data: Path) -> None:
    weights = real_data.parent / "weights" / f"{LITE}.imagenet.safetensors"
    if not weights.is_file():
        pytest.skip(f"no weights at {weights}")
    plain, with_attention = (
        create_encoder(LITE, 3, 64).eval(),
        create_encoder(f"cbam/{LITE}", 3, 64).eval(),
    )
    for encoder in (plain, with_attention):
        load_initial_weights(encoder, str(weights), ("red", "green", "blue"))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(with_attention(x), plain(x))


def test_imagenet_weights_come_with_the_inserts(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = create_encoder("cbam/resnet18", 3, 32)
    plain = create_encoder("resnet18", 3, 32)
    monkeypatch.setattr(type(plain), "imagenet", lambda self: plain.body.state_dict())
    assert load_initial_weights(encoder, "imagenet", ("red", "green", "blue")).endswith(
        "132 of 132 weights match"
    )


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_has_attention_of_its_own(copied) -> None:
    encoder = create_encoder("se/test_resnet", 3, 32).eval()
    teacher = copied(encoder)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = teacher(x)
        for weight in encoder.body.se.parameters():
            nn.init.normal_(weight, std=0.5)
        assert torch.equal(teacher(x), expected)
        assert not torch.allclose(encoder(x), expected)


def test_no_weight_is_kept_twice() -> None:
    encoder = create_encoder("cbam/test_resnet", 3, 32)
    assert set(encoder.state_dict()) == {f"body.{key}" for key in encoder.body.state_dict()}


def test_survives_the_exchange_of_norms() -> None:
    encoder = create_encoder(f"cbam/{LITE}", 3, 32)
    for weight in encoder.body.cbam.parameters():
        nn.init.normal_(weight, std=0.5)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = encoder.eval()(x)
        torch.testing.assert_close(sync_batch_norm(encoder).eval()(x), expected)


def test_all_of_it_is_trained() -> None:
    encoder: AttentionEncoder = create_encoder("cbam/test_resnet", 3, 32).train()  # type: ignore[assignment]
    encoder(torch.randn(2, 3, 32, 32)).square().mean().backward()
    assert all(weight.grad is not None for weight in encoder.body.cbam.parameters())
    assert encoder.body.cbam.layer1.excite.weight.grad.abs().max() > 0


@pytest.mark.parametrize("architecture", ["test_vit", "test_vit2"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_no_cnn_is_refused(family: str, architecture: str) -> None:
    with pytest.raises(UsageError, match=rf"'{family}' needs a CNN, and '{architecture}' is none"):
        create_encoder(f"{family}/{architecture}", 3, 32)


def test_weights_of_another_layout_are_fitted_as_for_the_plain_cnn(tmp_path: Path) -> None:
    plain = create_encoder("test_resnet", 3, 32).eval()
    weights = {f"module.{name}": value for name, value in plain.body.state_dict().items()}
    weights["module.fc.weight"] = torch.zeros(1000, plain.num_features)
    torch.save({"model": weights, "epoch": 9}, tmp_path / "nested.pth")
    encoder = create_encoder("cbam/test_resnet", 3, 32).eval()
    sentence = load_initial_weights(encoder, str(tmp_path / "nested.pth"), ("red", "green", "blue"))
    assert "1 tensors of a classifier" in sentence
    x = torch.rand(2, 3, 32, 32)
    assert torch.allclose(encoder(x), plain(x), atol=1e-6)


def test_converts_as_the_plain_cnn_does(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = create_encoder("eca/test_resnet", 1, 32)
    plain = create_encoder("test_resnet", 1, 32)
    renamed = {"a": torch.ones(1)}
    monkeypatch.setattr(type(plain), "convert", lambda self, state: renamed)
    assert encoder.convert({}) == renamed
    assert encoder.classifier == plain.classifier
