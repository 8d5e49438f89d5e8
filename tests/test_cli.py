"""The command line, in this process but for what the imports of a fresh one matter to."""

import builtins
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from ssl_kit.cli import main
from ssl_kit.commands import doctor
from ssl_kit.training.layers import merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start

TINY = ("--domain", "natural", "--encoder", "test_resnet", "--image-size", "32", "--epochs", "1",
        "--batch-size", "8", "--workers", "0", "--precision", "fp32")  # fmt: skip


def works(*args):
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == 0, done.output
    return done.stdout


def fails(code, *args):
    """Checks that a mistake is one line on stderr, and returns it."""
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def flat(tmp_path, shared_images):
    """A flat folder of ten images without labels."""
    return shutil.copytree(shared_images / "noise", tmp_path / "flat")


def test_train_ends_with_what_to_do_next(shared_images, tmp_path):
    out = tmp_path / "run"
    said = works("train", *TINY, "--data", shared_images, "--out", out)
    assert f'checkpoint_path="{out}/encoder.safetensors"' in said
    assert f"ssl-kit evaluate {out}" in said
    assert (out / "encoder.safetensors").is_file()


def test_train_without_out_makes_a_folder_below_runs(shared_images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    works("train", *TINY, "--data", shared_images, "--quiet")
    assert [p.name[:27] for p in (tmp_path / "runs").iterdir()] == ["natural-simclr-test_resnet-"]


def test_train_takes_a_file_below_flags_below_set(shared_images, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('domain = "natural"\nseed = 1\n[train]\nepochs = 5\nbatch_size = 4\n')
    works("train", *TINY[2:], "--data", shared_images, "--out", tmp_path / "run", "--config", file,
          "--set", "objective.out_dim=8", "--set", "train.batch_size=12")  # fmt: skip
    text = (tmp_path / "run" / "config.toml").read_text()
    assert "seed = 1" in text
    assert "epochs = 1" in text
    assert "batch_size = 12" in text
    assert "out_dim = 8" in text


def test_train_resumes(finished_run, tmp_path):
    copy = shutil.copytree(finished_run.folder, tmp_path / "run")
    assert str(copy) in works("train", "--resume", copy, "--quiet")


def test_resume_takes_no_settings(finished_run):
    assert "--resume goes on with" in fails(
        2, "train", "--resume", finished_run.folder, "--epochs", 3
    )
    assert "and no --strict" in fails(2, "train", "--resume", finished_run.folder, "--strict")


@pytest.mark.parametrize(
    "args",
    [
        ("report", "RUN", "--serve", "--out", "page.html"),
        ("report", "RUN", "--serve", "--data", "images"),
        ("report", "RUN", "--serve", "--json"),
        ("report", "RUN", "--port", "8000"),
        ("evaluate", "RUN", "--show-groups", "--json"),
    ],
)
def test_a_flag_that_would_change_nothing_is_refused(args):
    assert "changes nothing" in fails(2, *args)


def test_a_report_of_a_comparison_takes_no_images(tmp_path):
    (tmp_path / "compare.json").touch()
    assert "Leave out --data" in fails(2, "report", tmp_path, "--data", "images")


def test_quiet_says_only_the_result(shared_images, tmp_path):
    args = ["train", *TINY, "--data", str(shared_images), "--out", str(tmp_path / "a"), "--quiet"]
    done = CliRunner().invoke(main, args)
    assert "images" not in done.stderr
    assert "Collapse watch" in done.stdout


def test_evaluate_prints_the_run_beside_the_untrained(finished_run):
    said = works("evaluate", finished_run.folder, "--evaluation", "knn")
    assert "knn" in said
    assert "untrained" in said
    assert "accuracy *" in said
    assert "gain" in said


def test_evaluate_json(finished_run):
    values = json.loads(works("evaluate", finished_run.folder, "--json"))
    assert list(values["evaluations"]) == ["knn", "linear"]
    found = values["evaluations"]["knn"]
    assert list(found["models"]) == ["tiny", "untrained", "hand-crafted"]
    metric = found["models"]["tiny"]["metrics"]["accuracy"]
    assert metric["low"] <= metric["value"] <= metric["high"]
    assert {"value", "low", "high"} == set(found["gain"])
    assert values["overlapping_groups"] == 0


def test_evaluate_initial_weights_alone(shared_images):
    args = ("--domain", "natural", "--data", shared_images, "--encoder", "test_resnet")
    said = works("evaluate", "scratch", *args, "--image-size", 32, "--evaluation", "knn", "--json")
    found = json.loads(said)["evaluations"]["knn"]
    assert list(found["models"]) == ["untrained"]
    assert found["gain"] is None


def test_evaluate_on_other_labels(finished_run, shared_images, tmp_path):
    rows = [f"{n}/{i}.png,{'x' if i % 2 else 'y'}" for n in ("disc", "noise") for i in range(10)]
    (tmp_path / "my.csv").write_text("\n".join(["path,label", *rows]))
    args = ("--labels", tmp_path / "my.csv", "--allow-overlap", "--evaluation", "knn", "--json")
    values = json.loads(works("evaluate", finished_run.folder, *args))
    classes = values["evaluations"]["knn"]["models"]["tiny"]["classes"]
    assert sorted(row["class"] for row in classes) == ["x", "y"]


def test_embed(finished_run, flat, tmp_path):
    out = tmp_path / "features.npz"
    said = works("embed", finished_run.folder, "--data", flat, "--out", out, "--json")
    assert json.loads(said) == {"images": 10, "file": str(out), "skipped": []}
    with np.load(out) as found:
        assert found["features"].shape == (10, 96)
        assert found["keys"].tolist() == sorted(f"{i}.png" for i in range(10))
        assert set(found["labels"]) == {""}


def test_embed_counts_an_unreadable_image_once(finished_run, flat, tmp_path):
    for i in (1, 2):
        (flat / f"{i}.png").write_bytes(b"")
    out = tmp_path / "features.npz"
    said = works("embed", finished_run.folder, "--data", flat, "--out", out)
    assert said == f"8 images embedded in {out}, 2 skipped\n"


def test_views(shared_images, tmp_path):
    out = tmp_path / "views.png"
    args = ("--domain", "natural", "--data", shared_images, "--out", out)
    assert "The sheet is in" in works("views", *args)
    values = json.loads(works("views", *args, "--json"))
    assert values["file"] == str(out)
    assert 0 <= values["clipped"]["ColorJitter"] <= 1


@pytest.mark.parametrize("kind", ["timm", "safetensors"])
def test_export(finished_run, tmp_path, kind):
    out = tmp_path / "export"
    said = works("export", finished_run.folder, "--format", kind, "--out", out, "--json")
    assert json.loads(said)["largest_difference"] <= 1e-6


@pytest.mark.parametrize(
    ("plural", "name"),
    [
        ("domains", "natural"),
        ("objectives", "simclr"),
        ("encoders", "timm"),
        ("datasets", "image_folder"),
        ("evaluations", "knn"),
    ],
)
def test_listings(plural, name):
    assert name in works(plural)
    assert name in [row["name"] for row in json.loads(works(plural, "--json"))]
    assert works(plural, name).startswith(f"{name}: ")
    assert json.loads(works(plural, name, "--json"))["name"] == name


def test_an_objective_shows_paper_and_options():
    facts = json.loads(works("objectives", "simclr", "--json"))
    assert facts["paper"].startswith("https://")
    assert facts["options"]["temperature"]["default"] == 0.2


def test_plugins_and_doctor():
    assert "ssl-kit" in works("plugins")
    assert json.loads(works("plugins", "--json"))[0]["error"] == ""
    assert "python" in works("doctor")
    assert all(row["ok"] for row in json.loads(works("doctor", "--json")))


@pytest.mark.parametrize("error", [ImportError, OSError])
def test_doctor_says_that_torch_cannot_be_imported(monkeypatch, error):
    usual = builtins.__import__

    def without_torch(name, *args, **options):
        if name == "torch":
            raise error("libtorch.so is missing\nhere")
        return usual(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    said, fine = doctor._device()
    assert said.startswith("torch cannot be imported (libtorch.so is missing here): run 'pip")
    assert not fine


def test_help_cuts_no_sentence():
    shown = " ".join(works("--help").split())
    for name, command in main.commands.items():
        assert f"{name} {' '.join(command.help.partition(chr(10) * 2)[0].split())}" in shown


def test_an_option_for_several_names_that_is_given_twice_is_refused():
    text = fails(2, "evaluate", "run", "--evaluation", "knn", "--evaluation", "linear")
    assert "--evaluation is given twice. Give it once, with commas" in text


def test_an_option_of_all_commands_after_a_command_is_explained():
    result = CliRunner().invoke(main, ["train", "--plugins-dir", "mine"])
    expected = (
        "Error: '--plugins-dir' stands before the command: 'ssl-kit --plugins-dir ... COMMAND'."
    )
    assert result.output.strip() == expected


def test_version_and_help():
    assert "version" in works("--version")
    assert "train" in works("-h")
    assert "--max-time" in works("train", "--help")


def test_lists_pages_and_help_do_not_import_torch():
    assert_without_torch(0, [
        ["--help"], ["train", "--help"], ["objectives"], ["domains", "--json"], ["plugins"],
        ["encoders"], ["datasets"], ["evaluations"], ["objectives", "dino"], ["domains", "natural"],
        ["evaluations", "bags"], ["datasets", "image_folder"], ["encoders", "timm"],
    ])  # fmt: skip


def test_a_wrong_key_is_refused_before_torch_is_imported():
    assert_without_torch(2, [
        ["train", "--domain", "natural", "--set", "objective.temperatur=1"],
        ["train", "--domain", "natural", "--set", "data.options.chanels=1"],
        ["evaluate", "scratch", "--evaluation", "knn", "--set", "knn.kk=1"],
        ["evaluate", "scratch", "--set", "liear.k=1"],
        ["compare", "scratch", "--set", "linear.kk=1"],
        ["finetune", "scratch", "--set", "freze=all", "--out", "x"],
        ["views", "--domain", "natural", "--set", "seed=1"],
        ["inspect", "--domain", "natural", "--set", "data.option=1"],
    ])  # fmt: skip


def assert_without_torch(code, commands):
    """Asserts that commands end with an exit code and import nothing heavy.

    Each runs in a fork of a fresh process, which has imported what most of them do.
    """
    script = f"""
import os, sys
import ssl_kit.training.settings
from ssl_kit.cli import main
failed = 0
for args in {commands}:
    child = os.fork()
    if child == 0:
        try:
            main(args)
        except SystemExit as end:
            assert int(end.code or 0) == {code}, args
        heavy = {{'torch', 'timm', 'albumentations', 'sklearn', 'accelerate'}} & set(sys.modules)
        sys.exit(f'{{args}} imported {{heavy}}' if heavy else 0)
    failed |= os.waitpid(child, 0)[1]
sys.exit(bool(failed))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--domain", "naturel"), "Unknown domain 'naturel'. Did you mean 'natural'?"),
        (("--domain", "natural", "--objective", "simcrl"), "Did you mean 'simclr'?"),
        (("--domain", "natural", "--encoder", "test_resnt"), "Did you mean 'test_resnet'?"),
        (("--domain", "natural", "--data", "gone"), "The data 'gone' do not exist"),
        (("--domain", "natural", "--labels", "gone.csv"), "The labels 'gone.csv' do not exist"),
        (("--domain", "natural", "--pair-by", "grop"), "Unknown pairing 'grop'"),
        (("--domain", "natural", "--set", "sead=1"), "Unknown key 'sead'. Did you mean 'seed'?"),
        (("--domain", "natural", "--set", "sead"), "--set takes key=value"),
        (("--domain", "natural", "--set", "train.epochs=x"), "Wrong value for 'train.epochs'"),
        (("--domain", "natural", "--precision", "fp8"), "Wrong value for 'train.precision'"),
        (("--domain", "natural", "--max-time", "soon"), "90s, 10m or 1h30m"),
        (("--domain", "natural", "--init", "gone.pth"), "'gone.pth' is none"),
        (("--domain", "natural", "--config", "gone.toml"), "Cannot read the configuration"),
        (("--domain", "natural", "--data", ".", "--set", "data.reader=tif"), "dataset 'tif'"),
        (("--domain", "natural", "--set", "data.options.chanels=1"), "'data.options.chanels'"),
        (("--domain", "natural", "--epochs", "many"), "'many' is not a valid float"),
        (("--domain", "natural", "--epoch", "3"), "No such option"),
        ((), "Give --domain"),
        (("--resume", "gone"), "'gone' is no run"),
    ],
)
def test_a_mistake_in_train_is_one_line_and_leaves_no_folder(args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(2, "train", *args)
    assert not list(tmp_path.iterdir())


def test_an_unknown_command_is_one_line():
    assert "No such command 'trian'" in fails(2, "trian")


def test_no_command_shows_the_help():
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 2
    assert "ssl-kit train" in done.output


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ([], "has nothing; it reads image_folder (.jpg"),
        (["notes.txt"], "finds no file it can read"),
        (["a.tar.xz"], "is an archive. Unpack it, 'tar xf "),
    ],
)
def test_a_folder_without_images_is_one_line(tmp_path, there, reason):
    (tmp_path / "data").mkdir()
    for name in there:
        (tmp_path / "data" / name).touch()
    said = fails(1, "train", *TINY, "--data", tmp_path / "data", "--out", tmp_path / "run")
    assert reason in said


def test_an_existing_run_folder_is_one_line(finished_run, shared_images):
    said = fails(2, "train", *TINY, "--data", shared_images, "--out", finished_run.folder)
    assert "holds a run already. Go on with" in said


def test_a_file_in_the_way_of_the_run_is_one_line(shared_images, tmp_path):
    (tmp_path / "file").touch()
    args = ("train", *TINY, "--data", shared_images, "--quiet", "--out", tmp_path / "file" / "run")
    assert "a file is in the way; choose another folder" in fails(1, *args)


def test_a_mistake_in_evaluate_is_one_line(finished_run, flat):
    run = finished_run.folder
    assert "Unknown evaluation 'kn'" in fails(2, "evaluate", run, "--evaluation", "kn")
    assert "Unknown domain" in fails(2, "evaluate", run, "--domain", "nowhere")
    assert "do not exist" in fails(2, "evaluate", run, "--data", "gone")
    assert "Wrong value for 'data.holdout'" in fails(2, "evaluate", run, "--holdout", 5)
    assert "Give --domain" in fails(2, "evaluate", "scratch")
    for more in ((), ("--domain", "natural")):
        said = fails(2, "evaluate", "runs/nowhere", *more)
        assert "'runs/nowhere' does not exist. Give a run" in said
    assert "is no run" in fails(2, "evaluate", flat)
    assert "needs labeled images" in fails(2, "evaluate", run, "--data", flat)


def with_labels(folder, images, values):
    """Copies the images, with a labels.csv that gives each one of the values in turn."""
    shutil.copytree(images, folder)
    files = sorted(folder.rglob("*.png"))
    rows = [f"{file.relative_to(folder)},{values[i % len(values)]}" for i, file in enumerate(files)]
    (folder / "labels.csv").write_text("\n".join(["path,label", *rows]))
    return folder


def test_numbers_are_no_classes_for_any_evaluation(finished_run, shared_images, tmp_path):
    data = ("--data", with_labels(tmp_path / "images", shared_images, ["0.5", "1.25", "3", "4.5"]))
    words = "The labels are numbers, and this evaluation takes one class an image"
    run = finished_run.folder
    for name in ("knn", "linear", "few_labels", "leave_one_out", "bags", "retrieval"):
        assert words in fails(2, "evaluate", run, *data, "--evaluation", name)
    assert words in fails(2, "compare", "scratch", "--domain", "natural", *data)
    assert words in fails(2, "finetune", run, *data, "--out", tmp_path / "classifier")
    facts = json.loads(works("inspect", "--domain", "natural", *data, "--json"))
    assert facts["targets"] == {"lowest": 0.5, "highest": 4.5}
    assert facts["parts"]["test"] == 6
    assert words in facts["evaluations"]["knn"]
    assert facts["evaluations"]["spectrum"] == ""


def test_inspect_says_what_evaluations_can_use(shared_images):
    said = works("inspect", "--domain", "natural", "--data", shared_images)
    assert "Labels   3 classes, from names of folders" in said
    assert "Split    18 training, 6 validation and 6 test images, drawn by label" in said
    assert "knn, label_fractions" in said
    assert "within_group: no. These images have no time" in said


def test_train_says_in_short_what_it_understood(image_folder, tmp_path):
    (image_folder / "disc" / "0.txt").touch()
    args = ["train", *TINY, "--data", str(image_folder), "--out", str(tmp_path / "run")]
    said = CliRunner().invoke(main, args).stderr
    assert "Read as uint8, 40 x 40; 3 classes from names of folders; each image is a group." in said
    assert "Note: Files of other endings are not read: 1 .txt." in said
    assert "Warning" not in said


def test_strict_refuses_what_looks_wrong_before_there_is_a_run(image_folder, tmp_path):
    for name in ("disc", "noise"):
        shutil.copy(image_folder / "stripes/0.png", image_folder / name / "copy.png")
    out = tmp_path / "run"
    args = ("train", *TINY, "--data", image_folder, "--quiet", "--out", out)
    assert "--strict refuses these images" in fails(2, *args, "--strict")
    assert not out.exists()
    works(*args)


@pytest.mark.parametrize(
    ("command", "more"),
    [("evaluate", ()), ("finetune", ("--out", "classifier")), ("compare", ("random-frozen",))],
)
def test_strict_refuses_suspicious_labeled_images(
    image_folder, tmp_path, monkeypatch, command, more
):
    monkeypatch.chdir(tmp_path)
    for name in ("disc", "noise"):
        shutil.copy(image_folder / "stripes/0.png", image_folder / name / "copy.png")
    images = ("--domain", "natural", "--data", image_folder, "--encoder", "test_resnet")
    said = fails(2, command, "scratch", *more, *images, "--image-size", "32", "--strict")
    assert "--strict refuses these images" in said
    assert not (tmp_path / "classifier").exists()


def test_train_suggests_evaluate_only_where_it_can_work(flat, tmp_path):
    said = works("train", *TINY, "--data", flat, "--quiet", "--out", tmp_path / "run")
    assert "cannot be evaluated on its own images. An evaluation needs labeled images" in said
    assert f"ssl-kit evaluate {tmp_path / 'run'} --data LABELED_IMAGES" in said


def test_evaluating_on_what_was_trained_on_is_refused_unless_said_aloud(tiny, tmp_path):
    all_of_it = {"data": {"holdout": 0.0}, "train": {"epochs": 1}}
    run, _ = start([merge(tiny, all_of_it)], tmp_path / "run", Progress(quiet=True))
    args = ("evaluate", run.folder, "--holdout", 0.2, "--evaluation", "knn")
    assert "6 groups of the test part were pre-trained on" in fails(2, *args)
    assert "WARNING: 6 test groups" in works(*args, "--allow-overlap")


def test_images_with_other_channels_are_one_line(finished_run):
    args = ("evaluate", finished_run.folder, "--data", "digits", "--evaluation", "knn")
    said = fails(2, *args)
    assert "The images have 1 channel (gray), but" in said
    assert "was trained on 3 channels (red, green, blue)" in said


def test_a_mistake_in_the_other_commands_is_one_line(finished_run, tmp_path):
    run = finished_run.folder
    assert "must end in .npz" in fails(2, "embed", run, "--out", tmp_path / "a.csv")
    assert "Unknown export format" in fails(2, "export", run, "--format", "tf", "--out", "x")
    assert "is not empty" in fails(2, "export", run, "--out", run)
    assert "is no run" in fails(2, "export", tmp_path, "--out", "x")
    assert "Unknown augmentation policy" in fails(
        2, "views", "--domain", "natural", "--policy", "strange"
    )
    assert "Unknown objective" in fails(2, "objectives", "simcrl")


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_that_makes_no_sense_is_one_line(finished_run, size, tmp_path):
    out = tmp_path / "views.png"
    said = fails(2, "views", "--domain", "natural", "--image-size", size, "--out", out)
    assert "--image-size" in said
    if size:
        assert "--image-size" in fails(2, "evaluate", finished_run.folder, "--image-size", size)


def test_a_run_that_has_not_got_far_is_one_line(finished_run, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    shutil.copy(finished_run.folder / "config.toml", copy)
    assert "has not got far enough" in fails(1, "evaluate", copy)


def test_weights_of_another_architecture_are_one_line(finished_run, shared_images, tmp_path):
    args = ("--data", shared_images, "--init", finished_run.folder, "--out", tmp_path / "run")
    tiny = ["test_byobnet" if arg == "test_resnet" else arg for arg in TINY]
    assert "does not fit the encoder 'test_byobnet'" in fails(1, "train", *tiny, *args)
