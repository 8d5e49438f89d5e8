"""The Python API: one function for each command, with the flags as arguments."""

import inspect
import json
import shutil

import click
import cv2
import numpy as np
import pytest

import ssl_kit
from ssl_kit import DataError, UsageError
from ssl_kit.cli import main
from ssl_kit.commands.recipes import run_recipe
from ssl_kit.training.flags import FLAGS, Flag
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.settings import RunConfig

COMMANDS = (
    "train",
    "tune",
    "evaluate",
    "finetune",
    "compare",
    "embed",
    "views",
    "export",
    "report",
)
TINY = {"domain": "natural", "encoder": "test_resnet", "image_size": 32, "epochs": 1,
        "batch_size": 8, "workers": 0, "precision": "fp32"}  # fmt: skip
OF_THE_TERMINAL = {"as_json", "live", "port", "download"}  # sets data.options.download


def parameters(name):
    return parameters_of(main.commands[name])


def parameters_of(command):
    found = command.get_params(click.Context(command))
    return {param.name: param for param in found if "--help" not in param.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_are_called_like_the_flags(name):
    flags = set(parameters(name)) - OF_THE_TERMINAL
    assert set(inspect.signature(getattr(ssl_kit, name)).parameters) == flags


def test_flags_of_a_recipe_are_arguments():
    flags = set(parameters_of(main.commands["recipes"].commands["run"])) - OF_THE_TERMINAL
    assert flags == {*inspect.signature(run_recipe).parameters}


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_are_those_of_the_flags(name):
    arguments = inspect.signature(getattr(ssl_kit, name)).parameters
    for flag, parameter in parameters(name).items():
        if isinstance(parameter.default, str | int) and flag not in {"quiet", *OF_THE_TERMINAL}:
            assert arguments[flag].default == parameter.default


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_says_what_the_field_says(name):
    model = RunConfig
    *sections, key = FLAGS[name]
    for section in sections:
        model = model.model_fields[section].annotation
    field, flag = model.model_fields[key], Flag.of(name)
    assert flag.text.lower() == f"{field.description}.".lower()
    default = None if field.is_required() else getattr(field.default, "name", field.default)
    assert flag.default == ("" if default is None else str(default))
    assert [b.ge for b in field.metadata if hasattr(b, "ge") and flag.kind is int] == (
        [] if flag.least is None else [flag.least]
    )
    example = flag.choices[0] if flag.choices else flag.kind(flag.default or "8")
    below = {"domain": "natural"} if name != "domain" else {}
    nested = {sections[0]: {key: example}} if sections else {key: example}
    RunConfig.model_validate({**below, **nested})


def test_what_a_domain_sets_is_not_said_to_be_fixed():
    said = {name: option.help for name, option in parameters("train").items()}
    for domain in ssl_kit.core.discovery.domains.values():
        for name, (section, *key) in FLAGS.items():
            for defaults in (domain.defaults, domain.pretrained_defaults):
                values = defaults.get(section, {})
                if values and (not key or key[0] in values):
                    assert "the domain's" in said[name]


def test_train_returns_the_run_and_records_the_call(shared_images, tmp_path):
    run = ssl_kit.train(
        **TINY, data=shared_images, out=tmp_path / "run", set={"objective.out_dim": 8}
    )
    assert isinstance(run, Run)
    assert run.verdict in ("OK", "SUSPECT", "DIMENSIONAL", "COLLAPSED")
    assert run.config.objective.options["out_dim"] == 8
    command = run.read_json("manifest.json")["command"]
    assert command.startswith("ssl_kit.train(domain='natural', data='")
    assert "set={'objective.out_dim': 8}" in command
    assert eval(f"dict{command.removeprefix('ssl_kit.train')}")["epochs"] == 1
    resumed = ssl_kit.train(resume=run)
    assert resumed.read_json("manifest.json")["command"] == command


def test_nothing_is_printed(shared_images, tmp_path, capfd):
    run = ssl_kit.train(**TINY, data=shared_images, out=tmp_path / "run")
    ssl_kit.evaluate(run, evaluation="knn")
    assert capfd.readouterr().out == ""


def test_quiet_false_shows_the_progress(shared_images, tmp_path, capfd):
    ssl_kit.train(**TINY, data=shared_images, out=tmp_path / "run", quiet=False)
    shown = capfd.readouterr()
    assert "24 images" in shown.err
    assert shown.out == ""


def test_evaluations_print_as_the_table_and_are_kept_below_the_run(finished_run, tmp_path):
    run = shutil.copytree(finished_run.folder, tmp_path / "run")
    results = ssl_kit.evaluate(run, evaluation=["knn"], set={"knn.k": 3})
    assert "accuracy *" in str(results)
    assert str(results).startswith("Images: ")
    assert results["knn"].results["run"].details["k"] == 3
    kept = json.loads((run / "evaluations" / "knn.json").read_text())
    assert (
        kept["command"] == f"ssl_kit.evaluate({str(run)!r}, evaluation=['knn'], set={{'knn.k': 3}})"
    )
    assert kept["models"]["run"]["metrics"] == results.to_json()["evaluations"]["knn"]["models"][
        "run"]["metrics"]  # fmt: skip
    with np.load(run / "evaluations" / "knn.npz") as draws:
        assert draws.files


def test_results_that_cannot_be_kept_are_a_warning(finished_run, tmp_path, capfd):
    fresh = shutil.ignore_patterns("evaluations")  # of other tests
    run = shutil.copytree(finished_run.folder, tmp_path / "run", ignore=fresh)
    (run / "evaluations").write_text("in the way")
    Progress(quiet=True)  # as an earlier call of train leaves it
    assert ssl_kit.evaluate(run, evaluation="knn")["knn"].gain
    assert "The results are not kept. Cannot write" in capfd.readouterr().err


def test_a_comparison_is_the_content_of_its_file_and_prints_as_the_table(finished_run, tmp_path):
    run = Run(shutil.copytree(finished_run.folder, tmp_path / "tiny"))
    options = {"evaluation": "knn", "budgets": "2", "seeds": 1}
    values = ssl_kit.compare(run, "random-frozen", **options)
    assert values.folder.parent == run.folder / "comparisons"
    assert json.loads((values.folder / "compare.json").read_text()) == values
    assert "tiny against random-frozen" in str(values)
    assert values["command"].startswith("ssl_kit.compare('")
    assert ssl_kit.compare(run, **options).folder == values.folder


def test_embedding_without_a_file(finished_run, shared_images):
    found = ssl_kit.embed(finished_run)
    assert found.features.shape == (30, 96)
    assert found.keys[0] == "disc/0.png"
    assert set(found.labels) == {"disc", "noise", "stripes"}


@pytest.fixture(scope="module")
def embedded(finished_run):
    return ssl_kit.embed(finished_run)


def assert_same(features, embedded):
    np.testing.assert_allclose(features, embedded.features[: len(features)], atol=1e-5, rtol=0)


def test_a_loaded_encoder_gives_the_features_that_embed_writes(
    finished_run, shared_images, embedded
):
    encoder = ssl_kit.load(finished_run)
    files = [shared_images / key for key in embedded.keys]
    assert_same(encoder(files), embedded)
    arrays = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    assert_same(encoder(arrays[:5]), embedded)
    assert_same(encoder([array.astype(np.float64) for array in arrays[:5]]), embedded)


@pytest.mark.parametrize("format", ["timm", "safetensors"])
def test_an_export_gives_them_too(finished_run, shared_images, embedded, tmp_path, format):
    export = ssl_kit.export(finished_run, format=format, out=tmp_path / "export")
    assert export.largest_difference <= 1e-6
    assert_same(ssl_kit.load(export)([shared_images / key for key in embedded.keys[:3]]), embedded)


def test_physical_values_are_scaled_by_the_range_of_the_run(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(500, 4000, (12, 40, 40, 2)).astype(np.uint16)
    np.save(tmp_path / "bands.npy", images)
    data = {"data": tmp_path / "bands.npy"}
    run = ssl_kit.train(**TINY, **data, out=tmp_path / "run")
    assert_same(ssl_kit.load(run)(list(images)), ssl_kit.embed(run))


def test_what_cannot_be_used_is_one_line(finished_run, shared_images, tmp_path):
    encoder = ssl_kit.load(finished_run)
    with pytest.raises(DataError, match=r"An image of shape \(9, 9, 1\) is not \(H, W, 3\)"):
        encoder([np.zeros((9, 9), np.uint8)])
    with pytest.raises(UsageError, match=r"holds 30 images\. Use ssl_kit\.embed"):
        encoder([shared_images])
    for nothing in ([], "image.png"):
        with pytest.raises(UsageError, match="Give a list of images"):
            encoder(nothing)
    with pytest.raises(UsageError, match="is no run, and no export"):
        ssl_kit.load(tmp_path)


def test_open_data(shared_images):
    dataset = ssl_kit.open_data(domain="natural", data=shared_images)
    assert dataset[0].image.shape == (40, 40, 3)
    assert len(ssl_kit.open_data(domain="natural")) > 0
    with pytest.raises(UsageError, match=r"Unknown key 'data\.tile'"):
        ssl_kit.open_data(domain="natural", set={"data.tile": 3})
    with pytest.raises(UsageError, match="Give --domain"):
        ssl_kit.open_data(domain="")


def test_views_can_be_shown_in_a_notebook(shared_images, tmp_path):
    sheet = ssl_kit.views(domain="natural", data=shared_images, out=tmp_path / "views.png")
    assert sheet._repr_png_().startswith(b"\x89PNG")
    assert 0 <= sheet.clipped["ColorJitter"] <= 1


def test_the_command_line_is_recorded_as_it_was_typed(shared_images, tmp_path):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    args = ["train", *flags, f"--data={shared_images}", f"--out={tmp_path / 'run'}", "--quiet"]
    with pytest.raises(SystemExit):
        main(args)
    assert Run(tmp_path / "run").read_json("manifest.json")["command"] == " ".join(
        ["ssl-kit", *args]
    )
