"""`ssl-kit plugin check`; test_tutorial.py runs it on a plugin in a single file."""

import pytest
from click.testing import CliRunner

from ssl_kit.cli import main
from ssl_kit.plugins.datasets.digits import Digits
from ssl_kit.plugins.evaluations.knn import KNN


@pytest.fixture
def check():
    def run(*args):
        return CliRunner().invoke(main, ["plugin", "check", *args])

    return run


def test_a_sound_plugin_ends_with_0(check):
    done = check("knn")
    assert done.exit_code == 0
    assert "evaluation knn: The global random states of torch" in done.stdout
    assert "8 of 8 rules hold, 0 broken" in done.stdout


def test_a_broken_plugin_ends_with_1_and_the_likely_cause(check, register):
    class Mute(KNN):
        __doc__ = ""

    register("evaluation", "mute", Mute)
    done = check("mute")
    assert done.exit_code == 1
    assert "FAILED" in done.stdout
    assert "the class has no docstring" in done.stdout
    assert "7 of 8 rules hold, 1 broken" in done.stdout


def test_a_plugin_that_cannot_be_imported_ends_with_1(check, register):
    register("dataset", "ghost", "no_such_module:Ghost")
    done = check("ghost")
    assert done.exit_code == 1
    assert "No module named 'no_such_module'" in done.stdout


def test_all_kinds_of_a_name_are_checked(check, register):
    register("dataset", "knn", Digits)
    done = check("knn")
    assert done.exit_code == 0
    assert "dataset knn: " in done.stdout
    assert "evaluation knn: " in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Give a NAME or --all."),
        (("knn", "--all"), "Give a NAME or --all."),
        (("simclar",), "Unknown plugin 'simclar'. Did you mean 'simclr'?"),
    ],
)
def test_a_wrong_request_is_one_line(check, args, message):
    done = check(*args)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1
