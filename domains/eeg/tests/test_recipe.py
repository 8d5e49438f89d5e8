"""The recipe "Leave one subject out" of the page works as it is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ssl_kit.cli import main

PAGE = Path(__file__).parents[1] / "README.md"
QUICK = (
    "--encoder resnet1d/tiny --image-size 128 --epochs 1 --batch-size 32 --precision fp32 --quiet "
    "--set data.options.image=signal --set data.options.window=1 --set data.options.stride=1"
)


def commands() -> list[list[str]]:
    section = PAGE.read_text().split("## Leave one subject out")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, flags=re.M | re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_subjects_that_were_held_out_are_left_out_in_turn_and_named(
    tmp_path: Path, write_edf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), ["path,label"]
    for subject in range(12):
        for run in (1, 2):
            for state, strength in (("rest", 10), ("task", 40)):
                name = f"sub-{subject:02}_run-{run}_{state}.edf"
                write_edf(strength * rng.normal(size=(4, 600)), name=f"edf/{name}")
                rows.append(f"{name},{state}")
    (tmp_path / "edf" / "labels.csv").write_text("\n".join(rows))
    printed = ""
    for command in commands():
        arguments = [*command, *(shlex.split(QUICK) if command[0] == "train" else [])]
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        printed = done.stdout
        if "leave_one_out" in command:
            assert "6 of 12 labeled groups are left out in turn" in printed
            assert len(re.findall(r"^  \d+ +sub-\d\d +24 ", printed, flags=re.M)) == 6
    assert "6 groups that the run was pre-trained on" in printed
    assert len(re.findall(r"^  \d+ +sub-\d\d +12 ", printed, flags=re.M)) == 6
    files = [file for file in (tmp_path / "runs").rglob("*") if file.suffix in (".json", ".jsonl")]
    assert files
    assert not any(b"sub-0" in file.read_bytes() for file in files)
