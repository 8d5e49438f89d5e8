"""Sets that are opened by READER:NAME."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import ssl_kit
from ssl_kit import UsageError
from ssl_kit.cli import main
from ssl_kit.data import domains
from ssl_kit.data.earlier import for_other_images
from ssl_kit.data.named import parse_name
from ssl_kit.data.opening import DataConfig, with_absolute_options
from ssl_kit.evaluation.tuning.request import Request

SMALL = {"encoder": "test_resnet", "image_size": 32, "workers": 0}


@pytest.fixture
def eurosat(tmp_path):
    """The root of 24 images of EuroSAT, in the current folder."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("Forest", "River")):
        folder = tmp_path / "root" / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for i in range(12):
            image = rng.integers(100 * k, 100 * k + 80, (32, 32, 3), np.uint8)
            cv2.imwrite(str(folder / f"{name}_{i}.jpg"), image)
    return tmp_path / "root"


def invoke(*args):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    return result.exit_code, result.output + (result.stderr or "")


@pytest.mark.parametrize(
    ("data", "parsed"),
    [
        ("torchvision:CIFAR10", ("torchvision", "CIFAR10")),
        ("hf:owner/name", ("hf", "owner/name")),
        ("C:\\images", ("", "C:\\images")),
        ("image_folder:images", ("", "image_folder:images")),
        ("digits", ("", "digits")),
        ("", ("", "")),
    ],
)
def test_only_the_name_of_a_named_reader_is_split_off(data, parsed):
    assert parse_name(data) == parsed


def test_a_folder_with_a_colon_in_its_name_is_a_folder(image_folder, monkeypatch):
    monkeypatch.chdir(image_folder.parent)
    for name in ("hf:images", "torchvision:CIFAR10", "a:b"):
        image_folder = image_folder.rename(image_folder.parent / name)
        assert DataConfig(path=name).path == str(image_folder)
        assert len(ssl_kit.open_data(domain="natural", data=name)) == 30


def test_paths_are_kept_absolute(eurosat, monkeypatch):
    monkeypatch.chdir(eurosat.parent)
    config = DataConfig(path="torchvision:EuroSAT", options={"root": "root"})
    assert config.path == "torchvision:EuroSAT"
    assert config.options["root"] == str(eurosat)
    assert DataConfig(path="hf:root").path == f"hf:{eurosat}"
    assert DataConfig(path="hf:owner/name").path == "hf:owner/name"
    assert DataConfig(path="root", options={"root": "root"}).options["root"] == "root"


@pytest.mark.parametrize("reader", ["", "slides"])
def test_paths_in_options_of_other_readers_are_kept_absolute(tmp_path, monkeypatch, reader):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.svs").touch()
    options = {"outlines": "a.svs", "overviews": "new", "stain": "macenko"}
    config = DataConfig(path="a.svs", reader=reader, options=options)
    if not reader:
        config = with_absolute_options(domains["histopathology"], config)
    kept = {"outlines": str(tmp_path / "a.svs"), "overviews": str(tmp_path / "new")}
    assert config.options == {**kept, "stain": "macenko"}


def test_a_name_that_is_nearly_right_is_named():
    with pytest.raises(UsageError, match="Did you mean 'torchvision:CIFAR10'"):
        ssl_kit.open_data(domain="natural", data="torchvison:CIFAR10")


def test_another_reader_beside_the_name_is_refused(eurosat):
    asked = {"data.reader": "arrays", "data.options.root": str(eurosat)}
    with pytest.raises(UsageError, match="opened by the reader torchvision, not by arrays"):
        ssl_kit.open_data(domain="natural", data="torchvision:EuroSAT", set=asked)


@pytest.mark.parametrize("domain", ["natural", "remote_sensing", "medical"])
def test_every_domain_opens_it(domain, eurosat):
    asked = {"data.options.root": str(eurosat)}
    assert len(ssl_kit.open_data(domain=domain, data="torchvision:EuroSAT", set=asked)) == 24


def test_a_run_knows_its_set_and_is_loaded(eurosat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ssl_kit.train(
        domain="natural", data="torchvision:EuroSAT", epochs=1, batch_size=8, out=tmp_path / "run",
        precision="fp32", set={"data.options.root": "root"}, **SMALL,
    )  # fmt: skip
    monkeypatch.chdir("/")
    assert ssl_kit.evaluate(run, evaluation="knn")
    assert ssl_kit.train(resume=run).config.data.options == {"root": str(eurosat)}
    features = ssl_kit.load(run)([eurosat / "eurosat" / "2750" / "River" / "River_0.jpg"])
    assert len(features) == 1
    embedded = ssl_kit.embed(run, out=tmp_path / "features.npz")
    assert "eurosat/2750/River/River_0.jpg" in embedded.keys


def test_inspect_and_views_take_it(eurosat, tmp_path):
    given = ["--domain", "natural", "--data", "torchvision:EuroSAT"]
    root = ["--set", f"data.options.root={eurosat}"]
    code, output = invoke("inspect", *given, *root)
    assert code == 0, output
    assert "24" in output
    code, output = invoke("views", *given, *root, "--out", tmp_path / "views.png")
    assert code == 0, output


def test_options_of_the_set_are_checked_before_anything_is_imported(eurosat):
    given = ["--domain", "natural", "--data", "torchvision:EuroSAT"]
    code, output = invoke("inspect", *given, "--set", f"data.options.rot={eurosat}")
    assert code == 2
    assert "data.options.rot" in output
    assert "Did you mean 'root'" in output


def test_the_flag_download_sets_the_option(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", refuse)
    given = ["inspect", "--domain", "natural", "--data", "torchvision:EuroSAT"]
    given += ["--set", f"data.options.root={tmp_path}"]
    code, output = invoke(*given)
    assert (code, "say --download" in output) == (1, True)
    code, output = invoke(*given, "--download")
    assert (code, "no network" in output) == (1, True)


def test_download_without_a_named_set_is_refused(shared_images):
    code, output = invoke("inspect", "--domain", "natural", "--data", shared_images, "--download")
    assert code == 2
    assert "data.options.download" in output


def test_options_of_one_set_are_left_out_for_another_one(eurosat):
    domain = ssl_kit.core.discovery.domains["natural"]
    options = {"root": str(eurosat), "splits": ["train"], "arguments": {"partition": 2}}
    config = DataConfig(path="torchvision:DTD", options=options)
    other, remarks = for_other_images(domain, config, "torchvision:EuroSAT")
    assert other.options == {"root": str(eurosat)}
    assert "splits, arguments" in remarks[0]
    same, remarks = for_other_images(domain, config, "torchvision:DTD")
    assert (same.options, remarks) == (options, ())
    plain, remarks = for_other_images(domain, config, str(eurosat))
    assert (plain.options, "root, splits" in remarks[0]) == ({}, True)


def test_a_search_keeps_absolute_paths(eurosat, monkeypatch):
    monkeypatch.chdir(eurosat.parent)
    data = {"path": "torchvision:EuroSAT", "options": {"root": "root"}}
    asked = Request.of([{"domain": "natural", "data": data}]).asked
    assert asked["data"] == {"path": "torchvision:EuroSAT", "options": {"root": str(eurosat)}}


@pytest.mark.parametrize(
    ("data", "message"),
    [("torchvision:", "has no set ''.*CIFAR10, CIFAR100"), ("hf:", "Say --data hf:FOLDER")],
)
def test_a_reader_without_a_name_is_refused(data, message):
    with pytest.raises(UsageError, match=message):
        ssl_kit.open_data(domain="natural", data=data)
