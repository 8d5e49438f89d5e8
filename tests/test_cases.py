"""Inputs that users have (shared/cases): each gives what its row says, through the command line."""

import importlib.util
import json
import os
import re
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from ssl_kit import open_data
from ssl_kit.cli import main

MAKE = Path(__file__).parents[2] / "shared" / "cases" / "make.py"
QUICK = ("train", "--domain", "natural", "--batch-size", "8", "--epochs", "1", "--workers", "0")
RESNET = ("--encoder", "test_resnet", "--image-size", "32")
VIT = ("--encoder", "test_vit", "--image-size", "64")


@cache
def _makers():
    spec = importlib.util.spec_from_file_location("make_cases", MAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """Makes the files of a case when it is first asked for, and returns their folder."""
    if not MAKE.is_file():
        pytest.skip(f"no cases at {MAKE}")
    root = tmp_path_factory.mktemp("cases")

    def made(path):
        name = path.partition("/")[0]
        folder = root / name
        if not folder.exists():
            folder.mkdir()
            _makers()[name](folder, np.random.default_rng(zlib.crc32(name.encode())))
        return root / path

    return made


def said(*args, code=0):
    """Runs the command line and returns stdout and stderr; refusals are one line."""
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == code, (done.output, done.exception)
    if code:
        assert isinstance(done.exception, SystemExit)
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    return done.stdout, done.stderr


def settings(options):
    return [part for name, value in options.items() for part in ("--set", f"{name}={value}")]


def pixels(domain, path, options):
    """Returns the images that a command reads, (n, H, W, C), in their units."""
    dataset = open_data(domain=domain, data=path, set=options)
    return np.stack([dataset.read(i) for i in range(len(dataset))])


# Case, domain, options, facts that `inspect` prints, words of its remarks and warnings.
PETS = {"images": 12, "classes": {"cat": 6, "dog": 6}, "unlabeled": 0}
WHOLE = {"unreadable": {}}
EEG = {"data.options.image": "signal"}
ROWS = [
    ("jpeg_trailing_bytes", "natural", {}, {"images": 4, **WHOLE}, ""),
    ("gray_first", "natural", {}, {"images": 8, "names": "red green blue"}, "1 of the 8 .* gray"),
    ("link_to_itself", "natural", {}, {"images": 6, **WHOLE}, ""),
    ("formats_left_out", "natural", {}, {"images": 11, **WHOLE}, ""),
    ("only_gifs", "natural", {}, {"images": 6, **WHOLE}, ""),
    ("multipage_tiff", "natural", {}, {"images": 12, "groups": 3}, "3 TIFF files"),
    ("all_the_same", "natural", {}, {"images": 40, "constant": 40}, "40 of 40 .* constant"),
    ("odd_but_fine", "natural", {}, {"sizes": {"40 x 60": 6, "60 x 40": 1}, **WHOLE}, "animated"),
    *((f"csv_{form}", "natural", {}, PETS, "") for form in (
        "blank_after_comma", "capital_header", "semicolon", "utf16", "dot_slash", "absolute",
        "backslash", "other_columns")),
    ("csv_nan", "natural", {}, {"classes": {"cat": 4, "dog": 4}, "unlabeled": 4}, ""),
    ("csv_several_labels", "natural", {}, {"images": 12, "classes": {"cat": 4, "dog": 4}},
     "several labels"),
    ("folders_training_testing", "natural", {},
     {"classes": {"glioma": 12, "healthy": 12}, "held_out": 8}, ""),
    ("folders_images_masks", "natural", {}, {"images": 10, "classes": {}}, "10 masks"),
    ("folders_patients_first", "natural", {},
     {"classes": {"normal": 12, "tumour": 12}, "groups": 3}, "taken for groups"),
    ("folders_junk_class", "natural", {}, {"images": 300, "held_out": 60}, ""),
    ("folders_lonely_class", "natural", {}, {"images": 41, "held_out": 8}, "yeti.* too rare"),
    ("folders_macosx", "natural", {},
     {"classes": {"cats": 20, "dogs": 20}, "held_out": 8, **WHOLE}, ""),
    ("mixed_depth", "natural", {}, {"images": 6, **WHOLE}, "1 of the 6 .* uint16"),
    ("nodata_undeclared_float", "remote_sensing", {}, {"images": 4}, "-3.4028"),
    ("nodata_undeclared_int16", "remote_sensing", {}, {"images": 4}, "-9999"),
    ("nodata_whole_chip", "remote_sensing", {}, {"images": 7}, "1 tile with too little"),
    ("palette_raster", "remote_sensing", {}, {"names": "red green blue"}, "color table"),
    ("nan_and_infinity", "remote_sensing", {}, {"images": 4}, ""),
    ("sar_decibels", "sar", {}, {"images": 4}, "stored=db"),
    ("sar_linear", "sar", {}, {"images": 4}, "stored=intensity"),
    ("sar_complex_int16", "sar", {"data.options.tile": 128}, {"images": 4}, ""),
    ("dicom_contradicting_shape", "medical", {}, {"images": 6}, "contradict themselves"),
    ("dicom_oblong_pixels", "medical", {}, {"sizes": {"48 x 20": 4}}, ""),
    ("dicom_all_anonymous", "medical", {}, {"groups": 1}, "data.options.group=study"),
    ("dicom_all_anonymous", "medical", {"data.options.group": "study"}, {"groups": 12}, ""),
    ("nifti_mask_beside", "medical", {}, {"images": 24}, "4 masks .* data.masks=true"),
    ("nifti_mask_beside", "medical", {"data.masks": "true"}, {"images": 48}, ""),
    ("nifti_labels_folder", "medical", {}, {"images": 24, "classes": {}}, "4 masks"),
    ("volumes_other_formats/pair", "medical", {}, {"images": 6}, ""),
    ("volumes_other_formats/flat", "medical", {}, {"images": 3}, ""),
    ("volumes_other_formats/rgb", "medical", {}, {"images": 4, "names": "red green blue"}, ""),
    ("edf_sleep_names", "eeg", EEG, {"names": "Fpz-Cz_uv Pz-Oz_uv"}, "7 channels .* Event marker"),
    ("edf_sleep_names", "eeg", {**EEG, "data.options.channels": '["SaO2"]'}, {"images": 12}, ""),
    ("edf_old_names", "eeg", EEG, {"names": "T7_uv T8_uv P7_uv P8_uv Cz_uv", "groups": 4}, ""),
    ("edf_pairs_spelt", "eeg", EEG, {"names": "Fp1-F7_uv F7-T7_uv Fz-Cz_uv", "groups": 4}, ""),
    ("brainvision_renamed", "eeg", EEG, {"images": 4}, ""),
    ("bdf_status", "eeg", EEG, {"names": "Cz_uv Pz_uv"}, ""),
    ("edf_unfinished", "eeg", EEG, {"images": 4}, ""),
    ("slide_qptiff", "histopathology", {}, {"images": 10}, ""),
    ("slide_faint", "histopathology", {}, {"images": 10}, ""),
    ("slide_pen", "histopathology", {}, {"images": 10}, "5 tiles .* ink"),
    ("slides_of_patients", "histopathology", {}, {"groups": 2}, "patients are groups"),
    ("patches_of_slides", "histopathology", {}, {"images": 20, "groups": 2}, "patients are groups"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "domain", "options", "facts", "words"), ROWS)
def test_what_is_understood(case, name, domain, options, facts, words):
    folder = case(name)
    command = ("inspect", "--domain", domain, "--data", folder, "--json")
    shown = json.loads(said(*command, *settings(options))[0])
    assert re.search(words, "\n".join([*shown["remarks"], *shown["warnings"]]))
    shown["names"] = " ".join(channel["name"] for channel in shown["channels"])
    shown["held_out"] = shown["parts"]["test"]
    assert {key: shown[key] for key in facts} == facts


REFUSED = [
    ("csv_two_rows", 2, "s/0.png' has two rows that differ, cat and dog"),
    ("archives/pictures.zip", 1, "Unpack it, 'unzip "),
    ("archives/pictures.tar", 1, "Unpack it, 'tar xf "),
]


@pytest.mark.parametrize(("name", "code", "words"), REFUSED)
def test_what_is_refused(case, name, code, words):
    assert words in said("inspect", "--domain", "natural", "--data", case(name), code=code)[1]


@pytest.mark.parametrize("name", ["nrrd", "mha"])
def test_volumes_of_itk_are_read_or_the_extra_is_named(case, name):
    command = ("inspect", "--domain", "medical", "--data", case(f"volumes_other_formats/{name}"))
    if find_spec("SimpleITK"):
        assert said(*command)[0].startswith("Images   6\n")
    else:
        assert "ssl-kit-medical[itk]" in said(*command, code=1)[1]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("nodata_undeclared_float", 0, 1), ("nodata_undeclared_int16", -500, 4500)],
)
def test_undeclared_fill_is_no_data(case, name, low, high):
    data = open_data(domain="remote_sensing", data=case(name))
    assert low <= data.value_range.min() < data.value_range.max() <= high
    assert np.isnan(data.read(0)[:25]).all()
    assert np.isfinite(data.read(0)[25:]).all()


def test_a_color_table_gives_colors(case):
    colors = {(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9), (200, 200, 0)}
    images = pixels("remote_sensing", case("palette_raster"), {})
    assert {tuple(color) for color in np.unique(images.reshape(-1, 3), axis=0).tolist()} == colors


@pytest.mark.parametrize(
    ("name", "options"),
    [("sar_decibels", {}), ("sar_linear", {"data.options.stored": "intensity"})],
)
def test_backscatter_is_in_decibels(case, name, options):
    means = pixels("sar", case(name), options).mean((0, 1, 2))
    np.testing.assert_allclose(means, (-10, -17), atol=1)


@pytest.mark.parametrize("name", ["dicom_slope_per_frame", "dicom_pet_slopes"])
def test_rescaled_values_are_exact(case, name):
    images = pixels("medical", case(name), {"data.options.window": "dataset"})
    assert images.max((1, 2, 3)).tolist() == [1916, 3832, 7664]


def test_an_inverse_image_is_inverted_once(case):
    for image in pixels("medical", case("dicom_inverse_once"), {})[..., 0]:
        assert image[0, 0] > image[-1, -1]


@pytest.mark.parametrize(("name", "largest"), [("edf_gap", 5), ("edf_rates", 1)])
def test_every_window_has_the_sine(case, name, largest):
    windows = pixels("eeg", case(name), EEG)[:, 0]
    t = np.arange(windows.shape[1]) / 128
    waves = np.stack([np.sin(20 * np.pi * t), np.cos(20 * np.pi * t)], axis=1)
    half = slice(64, -64)  # without half a second at both ends
    for window in windows[:-1] if name == "edf_rates" else windows:
        parts = np.linalg.lstsq(waves[half], window[half], rcond=None)[0]
        np.testing.assert_allclose(np.hypot(*parts), 50, atol=1)
        assert np.abs(waves @ parts - window)[half].max() < largest


def test_faint_tissue_is_in_the_upper_two_rows(case):
    index = open_data(domain="histopathology", data=case("slide_faint")).index
    rows = [index.key(i).partition("#")[2].split(",")[0] for i in range(len(index))]
    assert rows == ["0"] * 5 + ["1"] * 5


def test_an_image_of_16_bits_is_not_white(case):
    assert (pixels("natural", case("mixed_depth"), {})[-1] == 255).mean() < 0.5


@pytest.mark.parametrize("command", ["domains", "plugins"])
@pytest.mark.parametrize("name", ["plugin_same_entry_name", "plugin_stale_copy"])
def test_both_packages_are_there(case, ssl_kit, name, command):
    path = f"{case(name) / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    listed = ssl_kit(command, PYTHONPATH=path)
    assert listed.returncode == 0, listed.stderr
    if command == "domains":
        names = [line.split(" ")[0] for line in listed.stdout.splitlines()]
        assert names.count("harbour-sar") == names.count("sar") == 1
    else:
        assert "FAILED" not in listed.stdout


WEIGHTS = [
    ("weights_other_size", VIT, "vit160", {"img_size": 64}, "78 of 78"),
    *(("weights_nested", RESNET, file, {}, words) for file, words in (
        ("plain", "90 of 90"), ("model", "unwrapped 'model'"), ("module", "'module.' removed"),
        ("teacher", "'backbone.' removed"))),
    ("weights_namespace", RESNET, "namespace", {}, "unwrapped 'model'"),
    ("weights_with_head", RESNET, "with_head", {}, "of a classifier"),
    ("weights_layer_scale", (*VIT, "--set", "encoder.arguments.init_values=1e-5"), "layer_scale",
     {"img_size": 64, "init_values": 1e-5}, "90 of 90"),
]  # fmt: skip


def trained(case, name, out, *args):
    """Trains with a learning rate that changes nothing; returns its weights and its output."""
    command = (*QUICK, "--data", case(f"{name}/images"), "--set", "optimizer.lr=1e-12")
    texts = said(*command, "--out", out, *args)
    return load_file(out / "encoder.safetensors"), "".join(texts)


def timm_state(content):
    state = content.get("model", content)
    return {key: value for key, value in state.items() if not key.startswith("fc.")}


def equals(weights, model):
    """Compares trained weights with those of timm; batch statistics have moved."""
    expected = {key: value for key, value in model.named_parameters() if key in weights}
    assert len(expected) == len([*model.parameters()])
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encoder", "file", "like", "words"), WEIGHTS)
def test_weights_are_those_of_timm(case, tmp_path, name, encoder, file, like, words):
    path = case(name) / f"{file}.pth"
    weights, text = trained(case, name, tmp_path / "run", *encoder, "--init", path)
    assert words in text
    plain = path.with_name("plain.pth")  # what the files of this case hold in other forms
    content = torch.load(plain if plain.exists() else path, weights_only=False)
    overlay = {"state_dict": timm_state(content)}
    how = {"pretrained": True, "num_classes": 0, "pretrained_cfg_overlay": overlay}
    equals(weights, timm.create_model(encoder[1], **like, **how))


@pytest.mark.slow
def test_embedded_features_are_those_of_timm(case, tmp_path):
    folder, out = case("weights_other_size"), tmp_path / "features.npz"
    data = ("--domain", "natural", "--data", folder / "images")
    said("embed", folder / "vit160.pth", *data, *VIT, "--out", out)
    overlay = {"file": str(folder / "vit160.pth")}
    how = {"pretrained": True, "num_classes": 0, "img_size": 64, "pretrained_cfg_overlay": overlay}
    model = timm.create_model("test_vit", **how).eval()
    mean, std = (np.float32(model.pretrained_cfg[key]) for key in ("mean", "std"))
    images = (np.float32(pixels("natural", folder / "images", {})) / 255 - mean) / std
    with torch.no_grad():
        expected = model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(np.load(out)["features"], expected, atol=1e-5)


@pytest.mark.slow
def test_layer_scale_is_refused_by_the_plain_architecture(case):
    folder = case("weights_layer_scale")
    command = (*QUICK, *VIT, "--data", folder / "images", "--init", folder / "layer_scale.pth")
    text = said(*command, code=1)[1]
    assert "no place for 12 (first: 'blocks.0.ls1.gamma')" in text
    assert "--set encoder.arguments.init_values" in text


@pytest.mark.slow
def test_a_folder_of_the_hub_is_an_encoder(case, tmp_path):
    name = f"local-dir:{case('weights_local_dir') / 'model'}"
    command = ("--encoder", name, "--init", "imagenet", "--image-size", "64")
    weights, _ = trained(case, "weights_local_dir", tmp_path / "run", *command)
    equals(weights, timm.create_model(name, pretrained=True, num_classes=0))


@pytest.mark.slow
def test_dinov3_goes_on_with_a_masked_objective(case, tmp_path):
    command = ("--encoder", "vit_small_patch16_dinov3", "--objective", "mae", "--image-size", "32")
    assert trained(case, "weights_eva_tokens", tmp_path / "run", *command)[0]


@pytest.mark.slow
def test_images_that_are_all_equal_are_a_collapse(case, tmp_path):
    data = ("--data", case("all_the_same"))
    text = "".join(said(*QUICK, *RESNET, *data, "--epochs", "3", "--out", tmp_path / "run"))
    assert "COLLAPSED: all images have the same features" in text


def evaluated(*args):
    return said("evaluate", "scratch", "--domain", "natural", "--encoder", "test_resnet", *args)


@pytest.mark.slow
def test_boxes_are_in_the_frame_of_the_pixels(case):
    folder = case("exif_boxes")
    detection = {"annotations": folder / "boxes.json", "epochs": 1, "size": 96}
    options = settings({f"detection.{key}": value for key, value in detection.items()})
    table, _ = evaluated("--data", folder / "images", "--evaluation", "detection", *options)
    assert "EXIF turns 20 of the 20 annotated images" in table


@pytest.mark.slow
def test_a_class_that_cannot_be_learned_is_named(case):
    _, remarks = evaluated("--data", case("class_only_in_test"), "--evaluation", "knn,linear")
    assert "'fox' is in the test part only" in remarks
    assert "at most 8 of its 12" in remarks


@pytest.mark.slow
def test_a_system_without_affinity_trains(case, ssl_kit, tmp_path):
    folder = case("no_affinity")
    path = f"{folder / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    data = ("--data", str(folder / "images"), "--out", str(tmp_path / "run"))
    command = ("--domain", "natural", "--batch-size", "8", "--epochs", "1")
    done = ssl_kit("train", *command, *RESNET, *data, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_time_holds_if_the_machine_becomes_slower(case, ssl_kit, tmp_path):
    folder, out = case("slower_later"), tmp_path / "run"
    command = (*QUICK, *RESNET, "--data", folder / "images", "--objective", "slowing", "--out", out)
    limit = ("--epochs", "100000", "--max-time", "20s")
    done = ssl_kit(*map(str, command), *limit, SSL_KIT_PLUGINS_DIR=str(folder / "plugins"))
    assert done.returncode == 0, done.stderr
    seconds = json.loads((out / "manifest.json").read_text())["seconds"]
    assert seconds <= 24  # a last step and its files may take long on a busy machine
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["lr"] < 0.01 * 0.002 * 8 / 256


@pytest.mark.slow
def test_fewer_images_than_a_batch_train(case, tmp_path):
    data = ("--data", case("fewer_than_a_batch"), "--out", tmp_path / "run")
    command = ("train", "--domain", "natural", "--epochs", "1", "--workers", "0")
    said(*command, *RESNET, *data)
    assert json.loads((tmp_path / "run/manifest.json").read_text())["data"]["trained_on"] == 9
