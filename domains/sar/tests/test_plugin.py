from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ssl_kit.core.discovery import datasets, domains, objectives
from ssl_kit.testing import parametrize_with_checks
from ssl_kit_sar.domain import SAR


def test_the_domain_is_found_by_its_name() -> None:
    assert domains["sar"] is SAR


@pytest.mark.parametrize("name", ["sar_raster", "mstar_phoenix", "sar_demo"])
def test_its_datasets_are_found(name: str) -> None:
    assert datasets[name].__module__.startswith("ssl_kit_sar")


def test_its_objectives_are_found() -> None:
    assert all(objectives[name].__module__.startswith("ssl_kit_sar") for name in SAR.objectives)


def test_the_table_of_contents_is_light() -> None:
    code = (
        "import sys, ssl_kit_sar as p; p.register_domains(lambda *a, **k: None); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'rasterio', 'albumentations')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@parametrize_with_checks("domain", "sar")
def test_domain(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "sar_raster")
def test_raster_reader(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "mstar_phoenix")
def test_chip_reader(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "dca")
def test_dca(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "despeckle")
def test_despeckle(check: Any) -> None:
    check()


@parametrize_with_checks("objective", "azimuth")
def test_azimuth(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "sar-dca")
def test_recipe(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "ss-rcnn-ships")
def test_recipe_of_ships(check: Any) -> None:
    check()
