import json
import os
import shutil
import signal

import pytest
import torch

from ssl_kit import RunError
from ssl_kit.training import loop, resume
from ssl_kit.training.engine import make_accelerator
from ssl_kit.training.layers import flatten, merge
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.start import go_on, start


class Recorded(Progress):
    """Keeps warnings, and sends SIGTERM at a step."""

    def __init__(self, at=0):
        super().__init__(quiet=True)
        self.at, self.warnings = at, []

    def warn(self, text):
        self.warnings.append(text)

    def step(self, step, *args):
        if step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def stopped(tiny, tmp_path):
    """A run that a signal stopped after 2 of 6 steps."""
    with pytest.raises(RunError, match="Stopped by a signal after step 2"):
        start([tiny], tmp_path / "run", Recorded(2))
    return tmp_path / "run"


def edit(folder, old, new):
    file = folder / "config.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def steps(folder):
    return [
        json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]


def test_settings_that_change_the_result_are_refused(stopped):
    config = (stopped / "config.toml").read_text()
    for old, new, key in (
        ("batch_size = 8", "batch_size = 6", "train.batch_size"),
        ("seed = 0", "seed = 1", "seed"),
        ("image_size = 32", "image_size = 40", "encoder.image_size"),
        ('name = "adamw"', 'name = "lars"', "optimizer.name"),
        ("weight_decay = 0.05", "weight_decay = 0.1", "optimizer.weight_decay"),
        ("hidden_dim = 32", "hidden_dim = 16", "objective.hidden_dim"),
    ):
        edit(stopped, old, new)
        match = rf"^{key} of '.*config.toml' was .* now, but the training so far depends on it"
        with pytest.raises(RunError, match=match):
            go_on(stopped, Progress(quiet=True))
        (stopped / "config.toml").write_text(config)
    go_on(stopped, Progress(quiet=True))
    assert Run(stopped).read_json("manifest.json")["steps"] == 6


def test_more_epochs_are_followed_and_said(stopped):
    edit(stopped, "epochs = 2", "epochs = 4")
    progress = Recorded()
    run = go_on(stopped, progress)[0]
    assert progress.warnings == ["train.epochs was 2; from here on it is 4."]
    assert steps(stopped) == [3, 6, 9, 12]
    assert run.read_json("manifest.json")["schedule"] == [[0, 6], [2, 12]]
    peak = run.config.optimizer.lr * 8 / 256
    rates = [json.loads(line)["lr"] / peak for line in run.metrics.read_text().splitlines()]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1


def test_the_length_of_a_run_that_has_ended_is_refused(finished_run, tmp_path):
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    edit(folder, "epochs = 2", "epochs = 4")
    with pytest.raises(RunError, match=r"its training has ended. Restore it, or start a new run"):
        go_on(folder, Progress(quiet=True))


def test_a_resume_of_a_run_that_has_ended_says_so(finished_run, tmp_path, monkeypatch):
    folder, said = shutil.copytree(finished_run.folder, tmp_path / "run"), []
    monkeypatch.setattr(Progress, "say", lambda self, text: said.append(text))
    go_on(folder, Progress(quiet=True))
    assert "The training has ended at step 6." in said


def test_a_run_without_a_checkpoint_follows_all_settings_but_compares_images(
    stopped, tiny, image_folder
):
    shutil.rmtree(stopped / "checkpoints")
    edit(stopped, "batch_size = 8", "batch_size = 6")
    images = stopped.parent / "images"
    edit(stopped, tiny["data"]["path"], str(images))
    (images / "disc" / "0.png").unlink()
    with pytest.raises(RunError, match="are not those that"):
        go_on(stopped, Progress(quiet=True))
    shutil.copy(f"{tiny['data']['path']}/disc/0.png", images / "disc" / "0.png")
    assert go_on(stopped, Progress(quiet=True))[0].read_json("manifest.json")["steps"] == 8


def test_a_resume_says_from_where_it_goes_on(stopped, monkeypatch):
    said = []
    monkeypatch.setattr(Progress, "say", lambda self, text: said.append(text))
    with pytest.raises(RunError, match="Stopped by a signal after step 3"):
        go_on(stopped, Recorded(at=3))
    assert "The training goes on after step 2." in said
    shutil.rmtree(stopped / "checkpoints")
    with pytest.raises(RunError, match="Stopped by a signal after step 1"):
        go_on(stopped, Recorded(at=1))
    assert "There is no checkpoint; the training starts anew." in said


def test_another_number_of_processes_is_said_or_refused(stopped):
    manifest = json.loads((stopped / "manifest.json").read_text())
    (stopped / "manifest.json").write_text(json.dumps({**manifest, "processes": 2}))
    progress = Recorded(at=3)
    with pytest.raises(RunError, match="Stopped by a signal"):
        go_on(stopped, progress)
    assert progress.warnings == [
        "2 processes have trained so far, now 1 do: the result differs slightly."
    ]
    changed = {**manifest, "processes": 4, "batch_size": 4}
    (stopped / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(RunError, match="trained by 4 processes with 4 images a batch"):
        go_on(stopped, Progress(quiet=True))


def test_a_half_written_line_of_any_list_is_repaired(stopped, finished_run):
    for name in ("metrics", "skipped", "schedule"):
        with (stopped / f"{name}.jsonl").open("a") as file:
            file.write('{"step": 2, "ste')
    run = go_on(stopped, Progress(quiet=True))[0]
    assert steps(stopped) == [3, 6]
    assert not run.lines(run.skipped)
    assert (run.skipped.read_text(), run.schedule.read_text()) == ("", "")
    assert run.encoder.read_bytes() == finished_run.encoder.read_bytes()


def test_a_damaged_list_is_one_line(finished_run, tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n\0\0\n{"step": 2}\n')
    with pytest.raises(RunError, match=r"metrics.jsonl' is damaged"):
        finished_run.lines(file)


def test_every_followed_setting_exists(finished_run):
    assert set(resume._FOLLOWED) <= set(
        flatten(merge(finished_run.config.model_dump(), {"train": {"max_time": 1.0}}))
    )


def test_the_scale_of_the_loss_in_fp16_goes_on(tiny, tmp_path, monkeypatch):
    scalers = []

    def scaled(*args, **options):
        accelerator = make_accelerator(*args, **options)
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
        scalers.append(accelerator.scaler)
        return accelerator

    monkeypatch.setattr(loop, "make_accelerator", scaled)
    start([tiny], tmp_path / "whole", Progress(quiet=True))
    with pytest.raises(RunError, match="Stopped by a signal"):
        start([tiny], tmp_path / "run", Recorded(2))
    go_on(tmp_path / "run", Progress(quiet=True))
    states = [each.state_dict() for each in scalers]
    assert states[2] == states[0]
    assert states[0]["scale"] == 32.0
    assert states[1]["_growth_tracker"] == 2


@pytest.fixture
def begun(finished_run, tiny, tmp_path):
    """A run from the weights in the folder `first`, stopped after 2 of 6 steps, and the folder."""
    first = shutil.copytree(finished_run.folder, tmp_path / "first")
    settings = merge(tiny, {"encoder": {"init": str(first)}, "optimizer": {"anchor": 9.0}})
    with pytest.raises(RunError, match="Stopped by a signal"):
        start([settings], tmp_path / "begun", Recorded(2))
    return tmp_path / "begun", first


def test_initial_weights_that_were_moved_can_be_named_anew(begun):
    folder, first = begun
    moved = first.rename(first.with_name("moved"))
    said = r"^encoder.init of .*, which does not exist. Correct encoder.init there if it was moved"
    with pytest.raises(RunError, match=said):
        go_on(folder, Progress(quiet=True))
    edit(folder, f'"{first}"', f'"{moved}"')
    progress = Recorded()
    run = go_on(folder, progress)[0]
    assert f"encoder.init was {first}; from here on it is {moved}." in progress.warnings
    assert run.read_json("manifest.json")["steps"] == 6


@pytest.mark.parametrize("moved", [False, True])
def test_other_initial_weights_are_refused(begun, tiny, moved):
    folder, first = begun
    other = start([merge(tiny, {"seed": 1})], first.with_name("other"), Progress(quiet=True))[0]
    if moved:
        edit(folder, f'"{first}"', f'"{other.folder}"')
    else:
        shutil.copy(other.encoder, first)
    with pytest.raises(RunError, match=r"are not those that .* was started with. Restore them"):
        go_on(folder, Progress(quiet=True))


def test_the_same_weights_with_another_preprocessing_are_refused(begun):
    folder, first = begun
    (first / "encoder.json").unlink()
    with pytest.raises(RunError, match=r"started with: mean, std differ. Restore it"):
        go_on(folder, Progress(quiet=True))


def test_a_run_of_an_earlier_version_goes_on_without_a_digest(begun, tiny):
    folder, first = begun
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["initial_weights_sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    moved = first.rename(first.with_name("moved"))
    with pytest.raises(RunError, match=r"which does not exist. Restore it, and go on"):
        go_on(folder, Progress(quiet=True))
    edit(folder, f'"{first}"', f'"{moved}"')
    with pytest.raises(RunError, match="the training so far depends on it"):
        go_on(folder, Progress(quiet=True))
    edit(folder, f'"{moved}"', f'"{first}"')
    moved.rename(first)
    manifest = go_on(folder, Progress(quiet=True))[0].read_json("manifest.json")
    assert "initial_weights_sha256" not in manifest


@pytest.mark.parametrize("key", ["path", "labels"])
def test_images_that_were_moved_are_to_be_named_in_the_configuration(stopped, tiny, key):
    if key == "path":
        edit(stopped, tiny["data"]["path"], str(stopped / "gone"))
    else:
        edit(stopped, 'labels = ""', f'labels = "{stopped / "gone"}"')
    match = rf"^data.{key} of .* is '.*gone', which does not exist. Correct data.{key} there"
    with pytest.raises(RunError, match=match):
        go_on(stopped, Progress(quiet=True))


def test_settings_of_the_training_are_refused_after_its_end(finished_run, tmp_path):
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    config = (folder / "config.toml").read_text()
    for old, new in (
        ("lr = 0.002", "lr = 0.7"),
        ("clip = 0.0", "clip = 1.0"),
        ("workers = 0", "workers = 1"),
        ("max_skip = 0.01", "max_skip = 0.5"),
    ):
        edit(folder, old, new)
        with pytest.raises(RunError, match=r"now, but its training has ended"):
            go_on(folder, Progress(quiet=True))
        (folder / "config.toml").write_text(config)


def test_images_can_be_moved_after_the_end(finished_run, tiny, tmp_path):
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    images = shutil.copytree(tiny["data"]["path"], tmp_path / "moved")
    edit(folder, tiny["data"]["path"], str(images))
    assert go_on(folder, Progress(quiet=True))[0].has_ended
