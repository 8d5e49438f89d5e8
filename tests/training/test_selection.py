import json
import shutil
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ssl_kit import RunError, UsageError
from ssl_kit.reports.html import page
from ssl_kit.reports.text import trained
from ssl_kit.training import judge, selection
from ssl_kit.training.candidates import interpolate
from ssl_kit.training.choice import MARGIN, balanced, choose
from ssl_kit.training.progress import Progress
from ssl_kit.training.run import Run
from ssl_kit.training.settings import merge
from ssl_kit.training.start import go_on, start

from .test_resume import Recorded

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def from_weights(finished_run):
    """Settings of a tiny run that begins from the weights of another one."""
    config = finished_run.config.model_dump(mode="json", exclude_none=True)
    return merge(config, {"encoder": {"init": str(finished_run.folder)}, "seed": 3})


@pytest.fixture(scope="module")
def judged(from_weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "judged"
    return start([from_weights], out, QUIET)[0]


def kept(run):
    return Run(run).read_json("selection.json")


def test_a_run_from_weights_judges_its_start_its_middle_its_end_and_mixtures(judged):
    facts = kept(judged)
    assert [(c["kind"], c["share"]) for c in facts["candidates"]] == [
        ("checkpoint", 0.0), ("checkpoint", 0.5), ("checkpoint", 1.0),
        ("interpolation", 0.25), ("interpolation", 0.5), ("interpolation", 0.75),
    ]  # fmt: skip
    assert (facts["images"], facts["groups"], facts["classes"]) == (24, 24, 3)
    assert facts["candidates"][0]["cka"] == pytest.approx(1)
    assert judged.read_json("manifest.json")["kept"] == facts["kept"]
    assert judged.read_json("encoder.json")["kept"] == facts["kept"]
    assert not (judged.folder / "checkpoints" / "candidates").exists()
    assert "Kept: " in trained(judged, "OK")
    assert "Kept encoder" in page.run_page(judged).decode()


def test_an_absurd_learning_rate_hands_back_the_start(from_weights, finished_run, tmp_path):
    absurd = {"optimizer": {"lr": 1e3, "warmup": 0}}
    run = start([from_weights, absurd], tmp_path / "run", QUIET)[0]
    assert kept(run)["kept"] == {"kind": "checkpoint", "share": 0.0}
    weights, initial = load_file(run.encoder), load_file(finished_run.encoder)
    assert all(torch.equal(weights[name], initial[name]) for name in initial)
    assert run.end.is_file()
    assert "Kept: the start" in trained(run, "OK")


@pytest.mark.parametrize("at", [2, 4])
def test_a_resumed_run_chooses_the_same(judged, from_weights, tmp_path, at):
    with pytest.raises(RunError, match="Stopped by a signal"):
        start([from_weights], tmp_path / "run", Recorded(at))
    go_on(tmp_path / "run", QUIET)
    assert (tmp_path / "run" / "encoder.safetensors").read_bytes() == judged.encoder.read_bytes()
    assert kept(tmp_path / "run") == kept(judged)


def test_a_kill_while_it_chooses_changes_nothing(judged, from_weights, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(selection, "choose", killed)
        start([from_weights], tmp_path / "run", QUIET)
    for _ in range(2):  # the second time the run has ended
        run = go_on(tmp_path / "run", QUIET)[0]
        assert run.encoder.read_bytes() == judged.encoder.read_bytes()
        assert run.read_json("manifest.json")["kept"] == kept(judged)["kept"]


def test_without_labels_the_drift_is_reported(from_weights, image_folder, tmp_path):
    for number, file in enumerate(sorted(image_folder.glob("*/*.png"))):
        file.rename(image_folder / f"{number}.png")
    for folder in image_folder.iterdir():
        if folder.is_dir():
            folder.rmdir()
    unlabeled = {"data": {"path": str(image_folder)}}
    run = start([from_weights, unlabeled], tmp_path / "run", QUIET)[0]
    facts = kept(run)
    assert facts["reason"] == "the images have no labels"
    assert 0 < facts["weights_changed"]
    assert -1 < facts["cka"] < 1
    assert "Drift from the start" in trained(run, "OK")


def test_the_last_encoder_is_kept_if_asked_for(from_weights, tmp_path):
    run = start([from_weights, {"train": {"keep": "last"}}], tmp_path / "run", QUIET)[0]
    assert not run.selection.exists()
    assert run.read_json("manifest.json")["kept"] == {"kind": "checkpoint", "share": 1.0}


def test_judging_costs_a_share_of_what_the_training_does(judged, monkeypatch):
    """Images are counted: a training step passes each view forward and back."""
    run = Run(judged)
    built = __import__("ssl_kit.training.setup", fromlist=["build"]).build(run.config)
    chosen = selection.Selection(run, built, None, None)
    for steps in (1_000, 10_000):
        trained_views = steps * built.images_per_step * len(built.views)
        embedded = 6 * chosen.images(steps)
        assert embedded <= max(0.04 * 3 * trained_views, 6 * selection.FEWEST_IMAGES)
    assert chosen.images(10**9) == selection.MOST_IMAGES
