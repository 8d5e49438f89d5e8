"""Classifiers that plain timm loads."""

import json

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors import safe_open
from torch import nn

from ssl_kit import UsageError, finetune
from ssl_kit.cli import main
from ssl_kit.commands.exports.classifier import timm_weights
from ssl_kit.evaluation.classifier import Classifier
from ssl_kit.nn import create_encoder


@pytest.mark.parametrize(
    "name",
    ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "tf_efficientnet_lite0"],
)
def test_timm_gives_the_same_logits(name):
    model = Classifier(create_encoder(name, 2, 32), 5).eval()
    nn.init.normal_(model.head.weight)
    whole = timm.create_model(name, **{**model.encoder.arguments, "num_classes": 5}).eval()
    whole.load_state_dict(timm_weights(model))
    x = torch.randn(2, 2, 32, 32)
    torch.testing.assert_close(whole(x), model(x))


@pytest.fixture(scope="module")
def tuned(finished_run, tmp_path_factory):
    """What the command line prints, and the folder it writes."""
    out = tmp_path_factory.mktemp("tuned") / "classifier"
    args = ["finetune", finished_run.folder, "--set", "epochs=1", "--set", "freeze=last:1"]
    args += ["--out", out]
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == 0, done.output
    return done, out


def test_it_says_how_good_it_is_and_how_to_load_it(tuned):
    done, out = tuned
    assert f'timm.create_model("local-dir:{out}", pretrained=True)' in done.stdout
    assert "accuracy" in done.stdout
    assert "epoch 1/1  loss" in done.stderr


def test_the_folder_loads_with_plain_timm_and_names_its_classes(tuned):
    _, out = tuned
    model = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert json.loads((out / "config.json").read_text())["label_names"] == [
        "disc", "noise", "stripes"]  # fmt: skip
    plain = timm.create_model("test_resnet", num_classes=3)
    with safe_open(out / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(plain.state_dict())


def test_metrics_and_options_are_kept(tuned):
    values = json.loads((tuned[1] / "metrics.json").read_text())
    assert values["config"]["freeze"] == "last:1"
    assert values["overlapping_groups"] == 0
    assert {"command", "versions", "metrics", "classes", "confusion", "data"} <= set(values)


def test_a_full_folder_is_left_alone(finished_run):
    with pytest.raises(UsageError, match="is not empty"):
        finetune(finished_run, out=finished_run)


def test_an_overlap_is_refused(finished_run, tmp_path):
    with pytest.raises(UsageError, match="were pre-trained on"):
        finetune(finished_run, holdout=0.5, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_option_is_one_line(finished_run, tmp_path):
    args = ["finetune", finished_run.folder, "--set", "freze=all", "--out", tmp_path / "x"]
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == 2
    assert "Unknown key 'finetune.freze'. Did you mean 'freeze'?" in done.stderr
