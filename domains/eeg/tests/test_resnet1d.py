from __future__ import annotations

import pytest
import torch

from ssl_kit import UnknownNameError, UsageError
from ssl_kit.nn import create_encoder, objectives
from ssl_kit.nn.weights import load_weights
from ssl_kit_eeg.resnet1d import Block, ResNet1d, ResNet1dEncoder


@pytest.mark.parametrize("size", sorted(ResNet1dEncoder.SIZES))
def test_maps_signals_to_features(size: str) -> None:
    encoder = create_encoder(f"resnet1d/{size}", 5, 512).eval()
    pooled, maps = encoder.forward_features(torch.randn(2, 5, 1, 512))
    assert pooled.shape == (2, encoder.num_features)
    assert [m.shape[3] for m in maps] == [256, 128, 64, 32, 16]
    assert encoder.pyramid_shapes(512) == [tuple(m.shape[1:]) for m in maps]


def test_rows_of_an_image_are_signals_of_their_own() -> None:
    encoder = create_encoder("resnet1d/tiny", 2, 64).eval()
    x = torch.randn(1, 2, 3, 64)
    alone = torch.stack([encoder(x[:, :, row : row + 1]) for row in range(3)]).mean(dim=0)
    torch.testing.assert_close(encoder(x), alone)


def test_shipped_weights_load_into_the_bare_network() -> None:
    encoder = create_encoder("resnet1d/tiny", 3, 64)
    bare = ResNet1d(**encoder.arguments)
    bare.load_state_dict(encoder.body.state_dict())
    x = torch.randn(2, 3, 1, 64)
    assert torch.equal(bare.eval()(x), encoder.eval()(x))


def test_weights_move_to_other_electrodes_by_name() -> None:
    source, target = (create_encoder("resnet1d/tiny", c, 64) for c in (2, 1))
    state = source.body.state_dict()
    found = load_weights(target, state, ("Cz_uv", "Pz_uv"), ("Pz_uv",), "a run")
    assert "missing" not in found
    first = target.body.state_dict()[target.first_layer]
    torch.testing.assert_close(first[:, 0], 2 * state[source.first_layer][:, 1])


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="small"):
        create_encoder("resnet1d/smal", 1, 64)


@pytest.mark.parametrize(
    "name", ["colorization", "context_encoder", "despeckle", "rotation", "simmim", "spark"]
)
def test_objectives_of_images_refuse_signals(name: str) -> None:
    kind = objectives[name]
    with pytest.raises(UsageError, match=rf"'{name}' needs images, and 'resnet1d/tiny' is for"):
        kind(create_encoder("resnet1d/tiny", 3, 64), kind.Config())


def test_a_strided_shortcut_is_a_convolution_with_that_stride() -> None:
    block, x = Block(4, 8, 2), torch.randn(2, 4, 3, 9)
    conv, norm = block.short
    strided = torch.nn.functional.conv2d(x, conv.weight, stride=(1, 2))
    torch.testing.assert_close(block.short(x[..., ::2]), norm(strided))


@pytest.mark.slow
def test_pictures_in_channels_last_do_not_end_the_process() -> None:
    block = Block(8, 16, 2).to(memory_format=torch.channels_last)
    x = torch.randn(64, 8, 128, 32).to(memory_format=torch.channels_last)
    block(x).sum().backward()
    assert torch.isfinite(block.conv1.weight.grad).all()
