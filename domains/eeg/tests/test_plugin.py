from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ssl_kit.core.discovery import datasets, domains, encoders, objectives
from ssl_kit.testing import checks_for, parametrize_with_checks
from ssl_kit_eeg.domain import EEG


def test_everything_is_found_by_its_name() -> None:
    assert domains["eeg"] is EEG
    found = [datasets[n] for n in ("recordings", "empatica", "eeg_demo")]
    found += [objectives[n] for n in EEG.objectives]
    found += [encoders["resnet1d"]]
    assert all(thing.__module__.startswith("ssl_kit_eeg") for thing in found)


def test_the_table_of_contents_is_light() -> None:
    heavy = "'torch', 'mne', 'scipy', 'albumentations', 'cv2'"
    code = (
        "import sys, ssl_kit_eeg as p; p.register_domains(lambda *a, **k: None); "
        f"sys.exit(any(name in sys.modules for name in ({heavy})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@parametrize_with_checks("domain", "eeg")
def test_domain(check: Any) -> None:
    check()


@pytest.mark.parametrize("name", ["recordings", "empatica", "eeg_demo"])
def test_datasets(name: str) -> None:
    for check in checks_for("dataset", name):
        check()


@parametrize_with_checks("objective", "transform_recognition")
def test_transform_recognition(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "relative_positioning")
def test_relative_positioning(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "temporal_shuffling")
def test_temporal_shuffling(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "forecasting")
def test_forecasting(check: Any) -> None:
    check()


def test_encoder() -> None:
    for check in checks_for("encoder", "resnet1d"):
        check()


@parametrize_with_checks("recipe", "sim-cnn-stress")
def test_recipe_of_each_subject(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "eeg-transformations")
def test_recipe(check: Any) -> None:
    check()
