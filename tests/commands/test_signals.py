"""SIGTERM ends every command in good order; tests/training/test_loop.py has those of train."""

import os
import signal

import pytest
from click.testing import CliRunner

from ssl_kit.cli import main
from ssl_kit.evaluation import requests
from ssl_kit.evaluation.result import Result


@pytest.fixture
def terminated(monkeypatch):
    """Sends SIGTERM to this process after a method was called, and once more."""

    def after(target, name):
        method = getattr(target, name)

        def called(*args, **kwargs):
            result = method(*args, **kwargs)
            monkeypatch.setattr(target, name, method)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            return result

        monkeypatch.setattr(target, name, called)

    return after


def ssl_kit(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.mark.parametrize("command", ["embed", "finetune"])
def test_an_interrupted_command_is_one_line_and_leaves_nothing(
    command, finished_run, tmp_path, terminated
):
    terminated(requests, "open_dataset")
    done = ssl_kit(command, finished_run.folder, "--out", tmp_path / "features.npz")
    assert (done.exit_code, done.stderr.strip()) == (1, "Error: Interrupted.")
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_interrupted_comparison_says_how_to_go_on(finished_run, tmp_path, terminated):
    terminated(Result, "save")
    command = ("compare", "random-frozen", "--data", finished_run.config.data.path, "--domain",
               "natural", "--encoder", "test_resnet", "--evaluation", "knn", "--budgets", "2,all",
               "--seeds", 1, "--no-controls", "--out", tmp_path / "out", "--quiet")  # fmt: skip
    done = ssl_kit(*command)
    line = f"Error: Interrupted; 1 of 2 results are in '{tmp_path / 'out'}'. The same command "
    assert (done.exit_code, done.stderr.strip()) == (1, f"{line}computes the others.")
    assert not list((tmp_path / "out").glob(".*"))
    assert ssl_kit(*command).exit_code == 0
