"""Weights bring their preprocessing, and images of other channels are refused in one line."""

import json
import shutil

import numpy as np
import pytest

import ssl_kit
from ssl_kit import DataError, RunError, UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.opening import open_dataset
from ssl_kit.evaluation.requests import load_encoder, open_images, prepare
from ssl_kit.training.setup import build, resolve

NAMES = ("green", "red", "nir", "swir_2")


def write(path, channels, factor=1.0, dtype=np.uint16):
    """24 images of three classes; channel c has values around 300 (c + 1) times the factor."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(1, 0.2, (24, 16, 16, channels)) * 300 * np.arange(1, channels + 1)
    np.savez(path, images=(pixels * factor).astype(dtype), labels=["a", "b", "c"] * 8)
    return path


def named(*names, **more):
    return {"data": {"options": {"channels": names, **more}}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrays")
    return {n: write(folder / f"{n}.npz", n) for n in (2, 4, 5)}


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    return ssl_kit.train(
        domain="natural",
        data=files[4],
        encoder="test_resnet",
        image_size=16,
        epochs=1,
        batch_size=8,
        workers=0,
        set=named(*NAMES),
        out=tmp_path_factory.mktemp("runs") / "run",
    )


def continued(run, data, settings, init=""):
    asked = {"domain": "natural", "data": {"path": str(data)}, "train": {"batch_size": 8}}
    return build(resolve(asked, {"encoder": {"init": init or str(run.folder)}}, settings))


def test_a_training_goes_on_with_the_preprocessing_of_its_run(run, files):
    setup = continued(run, files[2], named("nir", "blue"))
    facts = run.read_json("encoder.json")
    assert setup.statistics.mean[0] == facts["mean"][2]
    assert setup.statistics.std[0] == facts["std"][2]
    assert setup.dataset.value_range[0].tolist() == facts["value_range"][2]
    own = open_dataset(domains["natural"], setup.config.data)
    assert setup.dataset.value_range[1].tolist() == own.value_range[1].tolist()
    assert (setup.encoder.name, setup.encoder.image_size) == ("test_resnet", 16)
    for words in (
        "matched by name: nir; new: blue (mean of the others); not in the images: green, red",
        f"standardization of 1 channel taken from {run.folder}; 1 measured",
    ):
        assert words in setup.loaded


@pytest.mark.parametrize("init", ["encoder.safetensors", "checkpoints/best.safetensors"])
def test_a_file_of_a_run_brings_the_same(run, files, init):
    setup = continued(run, files[4], named(*NAMES), str(run.folder / init))
    assert setup.statistics.mean == run.read_json("encoder.json")["mean"]
    assert "all 4 channels matched by name" in setup.loaded


@pytest.mark.parametrize("kind", ["timm", "safetensors"])
def test_an_export_brings_the_same(run, files, kind, tmp_path):
    ssl_kit.export(run, format=kind, out=tmp_path / "out")
    facts = run.read_json("encoder.json")
    model = str(tmp_path / "out")
    assert continued(run, files[4], named(*NAMES), model).statistics.mean == facts["mean"]
    _, dataset, _ = open_images(model, "", str(files[4]), "", settings=named(*NAMES))
    loaded, _ = load_encoder(model, dataset, np.arange(24), "", 0)
    assert (loaded.statistics.std, loaded.image_size) == (facts["std"], 16)


def test_channels_of_another_unit_keep_their_own_range(run, tmp_path):
    setup = continued(run, write(tmp_path / "a.npz", 4, 0.01, np.float32), named(*NAMES))
    assert setup.dataset.value_range.max() < 30
    assert "is kept, because the unit differs: green is" in setup.loaded
    assert "standardization of 0 channels" in setup.loaded


def test_a_run_refuses_images_of_another_unit(run, tmp_path):
    data = write(tmp_path / "a.npz", 4, 0.01, np.float32)
    with pytest.raises(UsageError, match=r"another unit than in .*run: green is .* there.*safeten"):
        open_images(str(run.folder), "", str(data), "")


def test_weights_of_a_run_are_evaluated_as_the_run_was_trained(run, files, caplog):
    prepared = prepare(str(run.encoder), data=str(files[2]), settings=named("red", "nir"))
    facts = run.read_json("encoder.json")
    assert prepared.model.statistics.mean == facts["mean"][1:3]
    assert prepared.data.dataset.value_range.tolist() == facts["value_range"][1:3]
    assert (prepared.model.encoder.name, prepared.model.image_size) == ("test_resnet", 16)
    assert "standardization of 2 channels taken from" in caplog.text
    with pytest.raises(UsageError, match=r"is a test_resnet, not a resnet18. Leave out --encoder"):
        prepare(str(run.encoder), encoder="resnet18")


@pytest.mark.parametrize(
    ("count", "names", "advice"),
    [
        (2, ("red", "nir"), r"Go on with 'ssl-kit train --init \S+run'.*give the file '\S+safet"),
        (5, (*NAMES, "blue"), r"--set 'data.options.select=\[\"green\", \"red\", \"nir\", \"swir"),
        (4, (*NAMES[:3], "swir2"), "Did you mean 'swir_2' for 'swir2'"),
        (4, (), r"in the same order, name them with --set 'data.options.channels=\[\"green\""),
        (2, (), r"Name them with --set 'data.options.channels=\[...\]' first"),
    ],
)
@pytest.mark.parametrize("command", [ssl_kit.evaluate, ssl_kit.compare, ssl_kit.embed])
def test_images_of_other_channels_are_one_line(run, files, count, names, advice, command):
    with pytest.raises(UsageError, match=advice) as caught:
        command(run, data=files[count], set=named(*names))
    assert "\n" not in str(caught.value)


def test_channels_are_chosen_by_name(run, files):
    chosen = named(*NAMES, "blue", select=NAMES)
    _, dataset, _ = open_images(str(run.folder), "", str(files[5]), "", settings=chosen)
    assert dataset.channels == NAMES
    assert dataset.read(0).shape == (16, 16, 4)
    with pytest.raises(UsageError, match=r"channel 'swir2'. Did you mean 'swir_2'"):
        open_images("", "natural", str(files[4]), "", settings=named(*NAMES, select=["swir2"]))


def test_options_of_another_reader_are_left_out_with_a_remark(run, shared_images, caplog):
    with pytest.raises(UsageError, match=r"The images have 3 channels \(red, green, blue\)"):
        open_images(str(run.folder), "", str(shared_images), "")
    assert "the reader image_folder does not take are left out: channels." in caplog.text


def test_a_damaged_description_beside_weights_is_one_line(run, files, tmp_path):
    shutil.copy(run.encoder, tmp_path)
    facts = run.read_json("encoder.json")
    for text in ("{", json.dumps({**facts, "mean": [0.5]})):
        (tmp_path / "encoder.json").write_text(text)
        with pytest.raises(RunError, match=r"encoder.json' is damaged. Restore it"):
            continued(run, files[4], named(*NAMES), str(tmp_path))


def test_weights_without_a_run_need_images(run, tmp_path):
    for name in ("encoder.json", "encoder.safetensors"):
        shutil.copy(run.folder / name, tmp_path)
    with pytest.raises((UsageError, DataError), match="Give --data"):
        open_images(str(tmp_path), "", "", "")
