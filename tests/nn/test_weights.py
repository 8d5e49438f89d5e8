from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ssl_kit import RunError, UnknownNameError, UsageError
from ssl_kit.nn.channel_names import adapt_channels
from ssl_kit.nn.weights import (
    RGB,
    check_needs,
    create_encoder,
    load_initial_weights,
    load_weights,
    read_weights,
)

WEIGHTS = Path(__file__).parents[3] / "shared/weights/tf_efficientnet_lite0.imagenet.safetensors"
FIRST = torch.tensor([[3.0, 6.0, 9.0]]).view(1, 3, 1, 1)  # one filter: red 3, green 6, blue 9


def tiny(channels=3):
    torch.manual_seed(0)
    return create_encoder("test_resnet", channels, 32)


def adapted(*target, source=RGB):
    return adapt_channels(FIRST, source, target).flatten().tolist()


def other_weights():
    torch.manual_seed(1)
    return create_encoder("test_resnet", 3, 32).body.state_dict()


def test_channels_of_the_same_name_keep_their_weights():
    assert adapted("red", "green", "blue") == [3, 6, 9]
    assert adapted("blue", "green", "red") == [9, 6, 3]


def test_other_channels_take_the_mean():
    assert adapted("vv", "vh", "hh") == [6, 6, 6]


def test_the_scale_of_the_response_is_kept():
    assert adapted("gray") == [18]
    assert adapted("red", "nir") == [4.5, 9]
    assert adapted(*(f"b{c}" for c in range(12))) == [1.5] * 12


def test_a_gray_image_responds_the_same_after_the_adaption():
    x = torch.rand(1, 1, 5, 5)
    weight = torch.rand(4, 3, 3, 3)
    gray = torch.conv2d(x, adapt_channels(weight, RGB, ("gray",)))
    torch.testing.assert_close(gray, torch.conv2d(x.expand(-1, 3, -1, -1), weight))


def test_names_that_do_not_fit_the_weights_count_for_nothing():
    assert adapted("red", "green", "blue", source=("red",)) == [3, 6, 9]
    assert adapted("red", "green", source=("red",)) == [9, 9]


def test_load_weights_tells_what_matched():
    state, encoder = other_weights(), tiny()
    said = load_weights(encoder, state, RGB, RGB, "file")
    assert said == f"file: {len(state)} of {len(state)} weights match"
    assert all(torch.equal(v, state[k]) for k, v in encoder.body.state_dict().items())


def test_load_weights_tells_what_is_missing():
    state = other_weights()
    del state["bn1.weight"], state["bn1.bias"]
    said = load_weights(tiny(), state, RGB, RGB, "file")
    assert said.endswith(
        f"{len(state)} of {len(state) + 2} weights match; missing bn1.bias, bn1.weight"
    )


def test_a_classifier_is_left_out():
    state = {**other_weights(), "fc.weight": torch.ones(10, 96), "fc.bias": torch.ones(10)}
    assert "missing" not in load_weights(tiny(), state, RGB, RGB, "file")


def test_the_first_layer_is_adapted_while_loading():
    state, encoder = other_weights(), tiny(channels=2)
    load_weights(encoder, state, RGB, ("green", "nir"), "file")
    first = state["conv1.0.weight"]
    expected = torch.stack([first[:, 1], first.mean(1)], 1) * 1.5
    torch.testing.assert_close(encoder.body.state_dict()["conv1.0.weight"], expected)


def test_another_architecture_is_refused_and_nothing_changed():
    encoder = tiny()
    before = {k: v.clone() for k, v in encoder.body.state_dict().items()}
    state = create_encoder("test_byobnet", 3, 32).body.state_dict()
    with pytest.raises(RunError, match=r"does not fit the encoder 'test_resnet': only .* match"):
        load_weights(encoder, state, RGB, RGB, "file")
    assert all(torch.equal(v, before[k]) for k, v in encoder.body.state_dict().items())


def test_less_than_90_percent_is_refused(monkeypatch):
    monkeypatch.setattr("ssl_kit.nn.architectures._COMMON", {})  # trying them takes seconds
    state = other_weights()
    for key in sorted(state)[: len(state) // 9]:
        del state[key]
    with pytest.raises(RunError, match=r"first without a match: 'bn1.bias'"):
        load_weights(tiny(), state, RGB, RGB, "file")


def test_safetensors_carry_their_channel_names(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors", {"channels": "vv,vh"})
    save_file({"a": torch.ones(2)}, tmp_path / "rgb.safetensors")
    assert read_weights(tmp_path / "w.safetensors")[1] == ["vv", "vh"]
    assert read_weights(tmp_path / "rgb.safetensors")[1] == RGB


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
def test_torch_files_are_read(tmp_path, wrap):
    torch.save(wrap({"a": torch.ones(2)}), tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth")[0]) == list(wrap({"a": 0}))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_pickled_objects_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Bomb()}, "w.pth")
    with pytest.raises(RunError, match=r"'w.pth' is no readable weights file"):
        read_weights(Path("w.pth"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_damaged_file_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match="is no readable weights file") as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_torch_file_without_a_state_dict_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(RunError, match="holds a list, not a state dict"):
        read_weights(tmp_path / "w.pth")


def test_init_from_scratch_changes_nothing():
    encoder = tiny()
    before = encoder.body.conv1[0].weight.clone()
    assert load_initial_weights(encoder, "scratch", RGB) == "random weights"
    assert torch.equal(encoder.body.conv1[0].weight, before)


def test_init_from_a_file_or_the_run_it_lies_in(tmp_path):
    save_file(other_weights(), tmp_path / "encoder.safetensors")
    for init in (tmp_path, tmp_path / "encoder.safetensors"):
        encoder = tiny()
        load_initial_weights(encoder, str(init), RGB)
        assert torch.equal(encoder.body.conv1[0].weight, other_weights()["conv1.0.weight"])


def test_init_from_nothing_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="takes scratch, imagenet, a run folder or a weights file"):
        load_initial_weights(tiny(), str(tmp_path / "gone"), RGB)


def test_unknown_architectures_and_families():
    with pytest.raises(UnknownNameError, match="timm architecture 'resnet81'"):
        create_encoder("resnet81", 3, 32)
    with pytest.raises(UnknownNameError, match=r"encoder 'tim'. Did you mean 'timm'"):
        create_encoder("tim/resnet18", 3, 32)


def test_a_family_may_be_said_aloud():
    assert create_encoder("timm/test_resnet", 1, 32).num_features == 96


def test_what_an_objective_needs_and_an_encoder_lacks_names_both():
    with pytest.raises(UsageError, match="'mae' needs an encoder with tokens; 'test_resnet' has"):
        check_needs(tiny(), "mae", frozenset({"tokens", "map"}))
    check_needs(tiny(), "dense", frozenset({"map"}))


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no {WEIGHTS}")
@pytest.mark.parametrize("channels", [RGB, ("gray",), tuple(f"b{c}" for c in range(13))])
def test_real_imagenet_weights(channels):
    encoder = create_encoder("tf_efficientnet_lite0", len(channels), 64).eval()
    said = load_initial_weights(encoder, str(WEIGHTS), channels)
    assert "missing" not in said
    with torch.inference_mode():
        assert encoder(torch.rand(2, len(channels), 64, 64)).isfinite().all()
