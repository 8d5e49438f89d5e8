"""The option --config of the commands that use images."""

from pathlib import Path

import numpy as np
import pytest

import ssl_kit
from ssl_kit import UsageError
from ssl_kit.commands.config_file import below_flags, read_config

FILE = """
domain = "natural"
objective = "byol"
[data]
path = "images"
holdout = 0.3
masks = true
[data.options]
channels = "gray"
[encoder]
name = "test_vit"
image_size = 32
"""
NOTHING = {"domain": "", "data": "", "labels": "", "encoder": "", "image_size": 0, "holdout": None,
           "set": None}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    (tmp_path / "my.toml").write_text(FILE)
    return tmp_path / "my.toml"


def test_a_file_fills_what_was_not_given(file):
    filled = below_flags({**NOTHING, "config": file})
    assert [filled[name] for name in ("domain", "data", "encoder", "image_size", "holdout")] == [
        "natural", "images", "test_vit", 32, 0.3,
    ]  # fmt: skip
    assert filled["set"] == {"data": {"masks": True, "options": {"channels": "gray"}}}


def test_flags_and_set_win_over_the_file(file):
    given = {"domain": "sar", "encoder": "resnet18", "image_size": 64, "holdout": 0.0}
    asked = {"data.options.channels": "rgb"}
    filled = below_flags({**NOTHING, **given, "set": asked, "config": file})
    assert {name: filled[name] for name in given} == given
    assert filled["set"]["data"] == {"masks": True, "options": {"channels": "rgb"}}


def test_weights_keep_their_own_architecture(file, finished_run):
    filled = below_flags({**NOTHING, "config": file}, [finished_run.folder])
    assert (filled["encoder"], filled["image_size"]) == ("", 0)


def test_without_a_file_nothing_changes():
    arguments = {**NOTHING, "config": None}
    assert below_flags(arguments) == arguments


def test_a_wrong_key_is_named_with_the_nearest(tmp_path):
    (tmp_path / "my.toml").write_text("[data]\nholdot = 0.3\n")
    with pytest.raises(UsageError, match=r"data\.holdot.*holdout"):
        read_config(tmp_path / "my.toml")


def images(folder: Path, shared: Path) -> Path:
    file = folder / "my.toml"
    text = FILE.replace('"images"', f'"{shared}"').replace("masks = true\n", "")
    file.write_text(text.replace("test_vit", "test_resnet"))
    return file


def test_inspect_views_and_open_data_take_the_file(shared_images, tmp_path):
    file = images(tmp_path, shared_images)
    facts = ssl_kit.inspect(config=file)
    assert [channel["name"] for channel in facts["channels"]] == ["gray"]
    assert facts["parts"]["test"] == 10
    assert ssl_kit.inspect(config=file, holdout=0.2)["parts"]["test"] == 6
    assert ssl_kit.open_data(config=file).channels == ("gray",)
    assert ssl_kit.views(config=file, out=tmp_path / "v.png").file.is_file()


def test_evaluate_embed_and_compare_take_the_file(shared_images, tmp_path):
    file = images(tmp_path, shared_images)
    results = ssl_kit.evaluate("scratch", config=file, evaluation="knn")
    assert results.to_json()
    features = ssl_kit.embed("scratch", config=file)
    assert features.features.shape[0] == 30
    compared = ssl_kit.compare(
        "random-frozen", config=file, evaluation="knn", seeds=1, budgets="all", controls=False,
        out=tmp_path / "out",
    )  # fmt: skip
    assert compared["settings"]["encoder"] == "test_resnet"
    assert compared["settings"]["image_size"] == 32
    assert np.isclose(compared["settings"]["holdout"], 0.3)


def test_inspect_asks_about_channels_that_are_spelled_almost_as_those_of_the_weights(
    finished_run, tmp_path
):
    known = finished_run.read_json("encoder.json")["channels"]
    names = [known[0].upper(), *known[1:]]
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 255, (8, 9, 9, 3), np.uint8))
    facts = ssl_kit.inspect(
        domain="natural", data=tmp_path / "a.npy", init=finished_run.folder,
        set={"data.options.channels": names},
    )  # fmt: skip
    assert f"The channel '{names[0]}' is not among those of" in " ".join(facts["warnings"])
