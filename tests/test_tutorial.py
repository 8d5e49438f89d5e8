"""The blocks of docs/write-an-objective.md work, run one after another as a reader would."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "write-an-objective.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no docs/")


def blocks():
    """Yields (kind, title, text) of each fenced block."""
    text = PAGE.read_text()
    for head, body in re.findall(r"^```(.+?)\n(.*?)^```$", text, flags=re.M | re.S):
        title = re.search(r'title="(.+?)"', head)
        yield head.split(" title")[0], title.group(1) if title else "", body


def follow(folder, until_install, **env):
    """Writes the files and runs the commands; returns what was printed."""
    said = []
    for kind, title, body in blocks():
        if kind == "text":  # a part of a file
            continue
        if kind == "sh install" and until_install:
            return "".join(said)
        if title:
            (folder / title).parent.mkdir(exist_ok=True)
            (folder / title).write_text(body)
        else:
            done = subprocess.run(
                ["sh", "-e"], input=body, cwd=folder, capture_output=True, text=True, check=False,
                env={**os.environ, "OMP_NUM_THREADS": "1", **env},
            )  # fmt: skip
            assert done.returncode == 0, body + done.stdout + done.stderr
            said.append(done.stdout)
    return "".join(said)


def path_with(folder):
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_every_block_is_a_file_or_a_command():
    found = list(blocks())
    assert len(found) >= 6
    assert all(title if kind == "python" else kind in ("sh", "sh install", "text")
               for kind, title, _ in found)  # fmt: skip


@pytest.mark.slow
def test_a_single_file_is_listed_checked_trained_and_made_a_package(tmp_path):
    said = follow(tmp_path, until_install=True, PATH=path_with(Path(sys.executable).parent))
    assert "upside_down: Predicts whether an image was flipped." in said
    assert "0 broken" in said
    assert "untrained" in said
    package = tmp_path / "ssl-kit-upside-down"
    code = "import ssl_kit_upside_down.objective as o; o.UpsideDown, o.mirror_loss"
    subprocess.run([sys.executable, "-c", code], cwd=package, check=True)


@pytest.mark.slow
def test_the_package_is_installed_and_trains(tmp_path):
    scaffold = runpy.run_path(str(Path(__file__).parent / "commands" / "test_scaffold.py"))
    folder = tmp_path / "work"
    folder.mkdir()
    said = follow(folder, until_install=False, PATH=path_with(scaffold["install"](tmp_path)))
    assert said.count("0 broken") == 2
    assert (folder / "runs" / "second" / "encoder.safetensors").is_file()
