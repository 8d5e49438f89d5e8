from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ssl_kit.core.discovery import datasets, domains, objectives
from ssl_kit.testing import parametrize_with_checks
from ssl_kit_medical.domain import MEDICAL


def test_everything_is_found_by_its_name() -> None:
    assert domains["medical"] is MEDICAL
    found = [datasets[n] for n in ("dicom", "nifti", "medical_demo")]
    found += [objectives[n] for n in MEDICAL.objectives]
    assert all(thing.__module__.startswith("ssl_kit_medical") for thing in found)


def test_the_table_of_contents_is_light() -> None:
    heavy = "'torch', 'pydicom', 'nibabel', 'albumentations', 'cv2'"
    code = (
        "import sys, ssl_kit_medical as p; p.register_domains(lambda *a, **k: None); "
        f"sys.exit(any(name in sys.modules for name in ({heavy})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@parametrize_with_checks("domain", "medical")
def test_domain(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "dicom")
def test_dicom(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "nifti")
def test_nifti(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "models_genesis")
def test_models_genesis(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "slice_order")
def test_slice_order(check: Any) -> None:
    check()


@pytest.mark.slow  # five networks are built
@parametrize_with_checks("recipe", "medical-guidelines")
def test_recipe(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "plasmodium-attention")
def test_recipe_of_rare_classes(check: Any) -> None:
    check()
