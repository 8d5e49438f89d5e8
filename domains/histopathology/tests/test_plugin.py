from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_kit.core.discovery import datasets, domains, objectives
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.testing import parametrize_with_checks
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start
from ssl_kit_histopathology.domain import HISTOPATHOLOGY


def test_the_domain_is_found_by_its_name() -> None:
    assert domains["histopathology"] is HISTOPATHOLOGY


@pytest.mark.parametrize("name", ["slides", "patches", "histopathology_demo"])
def test_its_datasets_are_found(name: str) -> None:
    assert datasets[name].__module__.startswith("ssl_kit_histopathology")


def test_its_objectives_are_found() -> None:
    for name in HISTOPATHOLOGY.objectives:
        assert objectives[name].__module__.startswith("ssl_kit_histopathology")


def test_the_table_of_contents_is_light() -> None:
    code = (
        "import sys, ssl_kit_histopathology as p; p.register_domains(lambda *a, **k: None); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'openslide', 'albumentations')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_patches_are_read_as_the_image_folder_reads_them(real_data: Path) -> None:
    data = open_dataset(HISTOPATHOLOGY, DataConfig(path=str(real_data / "lc25000_lung")))
    plain = datasets["image_folder"](real_data / "lc25000_lung")
    assert type(data).__name__ == "Patches"
    assert data.fingerprint() == plain.fingerprint()
    assert np.array_equal(data.read(7), plain.read(7))
    assert data.index.classes == ("lung_aca", "lung_n", "lung_scc")
    assert len(np.unique(data.index.groups)) < len(data) / 2


def settings(path: Path, objective: str) -> dict[str, Any]:
    return {
        "domain": "histopathology",
        "data": {"path": str(path), "pair_by": "neighbors"},
        "encoder": {"name": "test_resnet", "image_size": 32},
        "objective": objective,
        "train": {"epochs": 1, "batch_size": 16, "workers": 0, "precision": "fp32"},
    }


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["simclr", "magnification", "cross_stain"])
def test_trains_on_real_slides(real_data: Path, tmp_path: Path, objective: str) -> None:
    run = start([settings(real_data / "wsi", objective)], tmp_path / "run", Progress(quiet=True))
    assert run[0].encoder.is_file()


@parametrize_with_checks("domain", "histopathology")
def test_domain(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "slides")
def test_reader(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "patches")
def test_patches(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "histopathology_demo")
def test_demo(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "magnification")
def test_magnification(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "cross_stain")
def test_cross_stain(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "wsi-context")
def test_recipe(check: Any) -> None:
    check()
