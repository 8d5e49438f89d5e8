"""Classifiers that plain timm loads."""

import json

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors import safe_open
from torch import nn

from ssl_kit import UsageError, compare, embed, evaluate, export, finetune, load, report
from ssl_kit.cli import main
from ssl_kit.commands.exports.classifier import timm_weights
from ssl_kit.evaluation.classifier import Classifier
from ssl_kit.nn import create_encoder
from ssl_kit.nn.weights import load_initial_weights
from ssl_kit.reports.html.classifier import _chance


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
    assert "Epoch 1 of 1 was best on the validation images; training again" in done.stderr


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


def test_it_is_evaluated_by_its_own_predictions_on_the_groups_it_did_not_learn_from(tuned):
    _, out = tuned
    values = json.loads((out / "metrics.json").read_text())
    result = evaluate(out)["predictions"].results[out.name]
    assert result.details["confusion"] == values["confusion"]
    for name, of_class in result.metrics.items():
        assert of_class.value == pytest.approx(values["metrics"][name]["value"], abs=0.01), name


def test_its_predictions_are_of_all_new_images(tuned, image_folder):
    for file in image_folder.rglob("*.png"):
        file.rename(file.with_name(f"new{file.name}"))  # other groups
    result = evaluate(tuned[1], data=image_folder)["predictions"].results["classifier"]
    assert sum(map(sum, result.details["confusion"])) == 30


def test_a_class_that_it_does_not_know_is_named(tuned, image_folder):
    (image_folder / "disc").rename(image_folder / "disk")
    with pytest.raises(UsageError, match=r"class 'disk'.* Did you mean 'disc'"):
        evaluate(tuned[1], data=image_folder)


def test_its_encoder_is_evaluated_and_embedded_like_that_of_a_run(tuned):
    assert "knn" in str(evaluate(tuned[1], evaluation="knn"))
    assert embed(tuned[1]).features.shape[1] == load(tuned[1]).model.encoder.num_features


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["timm", "safetensors", "torch_export"])
def test_its_export_gives_the_same_logits(tuned, tmp_path, kind):
    assert export(tuned[1], format=kind, out=tmp_path / "out").largest_difference <= 1e-5
    if kind == "timm":
        x = torch.randn(2, 3, 32, 32)
        ours = timm.create_model(f"local-dir:{tuned[1]}", pretrained=True).eval()
        theirs = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
        torch.testing.assert_close(theirs(x), ours(x))


def test_its_report_shows_the_test_and_how_to_load_it(tuned):
    page = report(tuned[1]).read_text()
    assert "A classifier of 3 classes" in page
    assert "Confusion matrix of finetune" in page
    assert "disc, noise, stripes" in page
    assert "every image is a group of its own" in page
    assert "None" not in page


@pytest.mark.parametrize(("low", "said"), [(0.45, True), (0.55, False)])
def test_an_auroc_like_that_of_guesses_is_said(low, said):
    sentence = _chance({"auroc": {"value": 0.6, "low": low, "high": 0.8}})
    assert ("contains 50 %" in sentence) == said


def test_a_training_goes_on_from_it_but_a_comparison_refuses_it(tuned, tiny, tmp_path):
    encoder = create_encoder("test_resnet", 3, 32)
    said = load_initial_weights(encoder, str(tuned[1]), ("red", "green", "blue"))
    assert "2 tensors of a classifier" in said
    with pytest.raises(UsageError, match="is a fine-tuned classifier"):
        compare(tuned[1], out=tmp_path / "comparison")


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


def test_an_option_of_another_evaluation_is_refused_beside_the_own_predictions(tuned):
    with pytest.raises(UsageError, match=r"have no options.* 'knn'"):
        evaluate(tuned[1], set={"knn.k": 5})


def test_what_it_started_from_is_known_in_any_folder(finished_run, tmp_path, monkeypatch):
    monkeypatch.chdir(finished_run.folder.parent)
    finetune(finished_run.folder.name, set={"epochs": 1}, out=tmp_path / "classifier")
    settings = json.loads((tmp_path / "classifier" / "metrics.json").read_text())["settings"]
    assert settings["encoder"]["init"] == str(finished_run.folder)
