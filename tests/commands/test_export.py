import json
from dataclasses import replace
from functools import partial

import pytest
import timm
import torch
from safetensors.torch import load_file

from ssl_kit import RunError, UnknownNameError, UsageError
from ssl_kit.commands.exports import checked as module
from ssl_kit.commands.exports import common
from ssl_kit.commands.exports.checked import write_checked as export
from ssl_kit.commands.exports.common import Loaded, Source
from ssl_kit.core.discovery import domains
from ssl_kit.data.views import whole_image
from ssl_kit.training.layers import merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start


@pytest.mark.parametrize("kind", ["timm", "safetensors"])
def test_every_format_gives_the_same_features(finished_run, tmp_path, kind):
    assert export(finished_run, kind, tmp_path / "out") <= 1e-6


def test_the_timm_folder_knows_how_to_prepare_an_image(finished_run, tmp_path):
    export(finished_run, "timm", tmp_path / "out")
    model = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True)
    facts = finished_run.read_json("encoder.json")
    config = timm.data.resolve_model_data_config(model)
    assert config["input_size"] == (3, 32, 32)
    assert list(config["mean"]) == facts["mean"]
    assert list(config["std"]) == facts["std"]


def test_the_timm_folder_names_channels_and_their_range(finished_run, tmp_path):
    export(finished_run, "timm", tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "config.json").read_text())
    assert facts["channels"] == ["red", "green", "blue"]
    assert facts["value_range"] == [[0, 255]] * 3


def test_safetensors_are_the_runs_own_and_say_how_to_prepare_an_image(finished_run, tmp_path):
    export(finished_run, "safetensors", tmp_path / "out")
    weights = tmp_path / "out" / "encoder.safetensors"
    assert weights.read_bytes() == finished_run.encoder.read_bytes()
    facts = json.loads((tmp_path / "out" / "encoder.json").read_text())
    assert "resize" in facts.pop("preparation").lower()
    assert facts == finished_run.read_json("encoder.json")


@pytest.mark.parametrize("kind", ["timm", "safetensors"])
@pytest.mark.parametrize("encoder", ["test_vit", "test_resnet"])
def test_other_sizes_and_channels(tiny, tmp_path, encoder, kind):
    more = {"data": {"path": "digits"}, "encoder": {"name": encoder}, "train": {"max_time": 0.2}}
    run, _ = start([merge(tiny, more)], tmp_path / "run", Progress(quiet=True))
    assert export(run, kind, tmp_path / "out") <= 1e-6


def test_an_unknown_format(finished_run, tmp_path):
    with pytest.raises(UnknownNameError, match=r"export format 'timn'. Did you mean 'timm'"):
        export(finished_run, "timn", tmp_path / "out")


def test_nothing_is_overwritten(finished_run, tmp_path):
    (tmp_path / "notes.txt").touch()
    for out in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="is not empty"):
            export(finished_run, "timm", out)


def test_an_empty_folder_will_do(finished_run, tmp_path):
    export(finished_run, "safetensors", tmp_path)
    assert load_file(tmp_path / "encoder.safetensors")


def test_other_features_are_an_error(finished_run, tmp_path, monkeypatch):
    def wrong(source, out):
        torch.manual_seed(9)
        return Loaded(timm.create_model("test_resnet", num_classes=0).eval())

    monkeypatch.setitem(module.FORMATS, "timm", wrong)
    with pytest.raises(RunError, match="gives other features"):
        export(finished_run, "timm", tmp_path / "out")


@pytest.mark.parametrize("policy", [lambda view, channels: [], partial(whole_image)])
def test_a_policy_without_a_sentence_of_its_own_is_named(finished_run, monkeypatch, policy):
    domain = replace(domains["natural"], policies={"eval": policy})
    monkeypatch.setattr(common, "domains", {"natural": domain})
    assert "policy 'eval' of the domain 'natural'" in Source.of(finished_run).facts["preparation"]
