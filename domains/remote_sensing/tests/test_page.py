"""The commands of the recipe in README.md work, in their order, on small arrays."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ssl_kit.cli import main

PAGE = Path(__file__).parents[1] / "README.md"
TITLE = "## From 12 bands to 5, with few labels\n"
FIVE = (1, 2, 3, 7, 11)  # of the 12 bands
SHORT = {
    "train": "--epochs 1 --batch-size 8 --workers 0 --image-size 16",
    "compare": "--seeds 1 --set finetune.epochs=1",
}


def write(folder: Path, bands: list[int]) -> None:
    """Writes 36 images of two land covers, of six scenes, with a table of labels."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = ["path,label,group"]
    for i in range(36):
        spectrum = np.linspace(300, 3000, 12) if i % 2 else np.linspace(1500, 900, 12)
        pixels = spectrum * rng.normal(1, 0.2, (16, 16, 12))
        np.save(folder / f"{i}.npy", pixels[..., bands].astype(np.uint16))
        rows.append(f"{i}.npy,{'forest' if i % 2 else 'water'},scene{i % 12}")
    (folder / "labels.csv").write_text("\n".join(rows))


def part(kind: str) -> str:
    """Returns the blocks of a kind in the recipe."""
    text = PAGE.read_text(encoding="utf-8").partition(TITLE)[2].partition("\n## ")[0]
    return "".join(re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.M | re.S))


@pytest.mark.slow
def test_the_recipe_goes_from_12_bands_to_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "twelve", [*range(12)])
    write(tmp_path / "five", list(FIVE))
    (tmp_path / "bands12.toml").write_text(part("toml"))
    words = re.split(r"(?<!\S)ssl-kit(?!\S)", part("sh").replace("\\\n", " "))[1:]
    commands = [shlex.split(text) for text in words]
    names = ["inspect", "train", "train", "evaluate", "compare", "evaluate"]
    assert [name for name, *_ in commands] == names
    outputs = []
    for command in commands:
        more = shlex.split(SHORT.get(command[0], ""))
        result = CliRunner().invoke(main, [*command, *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        outputs.append(result.output)
    assert "matched by name: blue, green, red, nir, swir_2; not in the images" in outputs[2]
    assert "standardization of 5 channels taken from" in outputs[2]
