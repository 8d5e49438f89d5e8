"""Each script of benchmarks/ starts, and pages of older figures say so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    "command_line.py",
    "default_queue.py",
    "default_runs.py",
    "default_sets.py",
    "default_tables.py",
    "label_free_tables.py",
    "objective_tables.py",
    "start_tables.py",
)
ELSEWHERE = ("lightly_simclr.py",)  # runs in an environment of its own
SCRIPTS = sorted(
    path.name
    for path in (ROOT / "benchmarks").glob("*.py")
    if path.name not in (*LIBRARIES, *ELSEWHERE)
)


def run(script, *arguments):
    """Runs a script and returns what it printed."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_starts(script):
    assert "usage:" in run(script, "--help")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads sizes from /proc")
def test_the_benchmark_of_knn_runs():
    assert "ssl-kit" in run("knn.py", "--rows", "500", "--width", "8", "--turns", "1")


@pytest.mark.parametrize("page", ["results", "detection"])
def test_a_page_of_older_figures_says_so_at_its_top(page):
    top = " ".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split()[:90])
    assert re.search(
        r"measured before commit [0-9a-f]{7} \(\d{4}-\d\d-\d\d\) with the command", top
    )


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [("different objectives", 0.9, 1), ("the same objective", 0.6, 0.73)],
)
def test_what_tune_says_of_view_retrieval_is_what_was_measured(kind, least, most):
    """`tune` says "more than nine of ten" and "about two of three"."""
    page = (ROOT / "docs" / "label_free.md").read_text(encoding="utf-8")
    better, pairs = re.search(rf"Two runs of {kind}: in (\d+) of (\d+) pairs", page).groups()
    assert least <= int(better) / int(pairs) <= most
