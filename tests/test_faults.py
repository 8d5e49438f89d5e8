"""Faults of the machine, of files and of settings are one line, whatever the command."""

import errno
import os
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ssl_kit import RunError
from ssl_kit.cli import main
from ssl_kit.evaluation.comparing.cells import compute
from ssl_kit.evaluation.comparing.plan import plan
from ssl_kit.training.loop import Trainer
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start

QUICK = ("--domain", "natural", "--encoder", "test_resnet", "--image-size", "32", "--epochs", "1",
         "--batch-size", "8", "--workers", "0", "--quiet")  # fmt: skip


def outcome(*args):
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done


def line(*args):
    """Returns the one line on stderr that a command ends with."""
    done = outcome(*args)
    assert done.exit_code in (1, 2)
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--seed", 10**20), "'seed': Input should be less than 4294967296"),
        (("--encoder", "levit_128s", "--image-size", 33), "33 pixels: The size of tensor"),
        (("--set", "encoder=3", "--set", "encoder.image_size=32"), "'encoder' has settings of"),
    ],
)
def test_impossible_settings(shared_images, tmp_path, more, text):
    assert text in line("train", *QUICK, "--data", shared_images, "--out", tmp_path / "run", *more)


def test_odd_names_and_links_are_files_like_others(image_folder):
    os.symlink(image_folder / "self.png", image_folder / "self.png")
    (image_folder / "folder.png").mkdir()
    odd = os.path.join(os.fsencode(image_folder / "noise"), b"\xff.png")
    shutil.copy(image_folder / "noise" / "0.png", odd)
    done = outcome("inspect", "--domain", "natural", "--data", image_folder)
    assert done.exit_code == 0
    assert "noise/\\udcff.png" in done.stdout


def test_a_configuration_with_a_byte_order_mark(shared_images, tmp_path):
    (tmp_path / "my.toml").write_bytes(b"\xef\xbb\xbf[train]\r\naccumulate = 0\r\n")
    text = line("train", *QUICK, "--data", shared_images, "--config", tmp_path / "my.toml")
    assert "train.accumulate" in text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError("Unable to allocate 9 GiB"), "The memory is full. Lower the batch size"),
        (torch.OutOfMemoryError("CUDA out of memory."), "The memory is full. Lower the batch"),
        (OSError(errno.ENOSPC, "No space left", "x"), "Cannot use 'x': the disk is full"),
        (FileNotFoundError(errno.ENOENT, "gone", "x"), "'x' does not exist, or was deleted"),
    ],
    ids=str,
)
def test_what_the_machine_refuses(monkeypatch, error, text):
    def refuse(*args):
        raise error

    monkeypatch.setattr("ssl_kit.commands.listing.entries", refuse)
    assert text in line("objectives")


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("ssl_kit.commands.listing.entries", lambda registry: 1 / 0)
    assert isinstance(CliRunner().invoke(main, ["objectives"]).exception, ZeroDivisionError)


def test_a_run_whose_folder_vanishes_says_so_and_makes_no_new_one(tiny, tmp_path, monkeypatch):
    train_on = Trainer.train_on

    def vanish(trainer, batch):
        train_on(trainer, batch)
        shutil.rmtree(trainer.run.folder, ignore_errors=True)

    monkeypatch.setattr(Trainer, "train_on", vanish)
    with pytest.raises(RunError, match="folder of the run is gone"):
        start([tiny], tmp_path / "run", Progress(quiet=True))
    assert not (tmp_path / "run").exists()


def test_a_comparison_whose_folder_vanishes_makes_no_new_one(finished_run, tmp_path, monkeypatch):
    asked = plan([str(finished_run.folder)], evaluation="knn", budgets="all", seeds=1)
    out = tmp_path / "comparison"
    monkeypatch.setattr(
        "ssl_kit.evaluation.comparing.cells._line", lambda *args: shutil.rmtree(out) or ""
    )
    with pytest.raises(RunError, match="folder of the comparison is gone"):
        compute(asked, out, "", Progress(quiet=True))
    assert not out.exists()


def test_nan_pixels_are_counted_and_named(tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "arrays"
    folder.mkdir()
    for i in range(16):
        image = rng.random((32, 32, 1), np.float32)
        image[:4] = np.nan if i in (3, 5) else 0.5
        np.save(folder / f"{i:02}.npy", image)
    done = outcome("train", *QUICK, "--data", folder, "--out", tmp_path / "run")
    assert "2 images have pixels without data" in done.stderr
    assert "such as '03.npy'" in done.stderr


def test_a_sheet_of_views_is_not_put_among_the_images(image_folder):
    out = image_folder / "views.png"
    text = line("views", "--domain", "natural", "--data", image_folder, "--out", out)
    assert "would be taken for one of them" in text
