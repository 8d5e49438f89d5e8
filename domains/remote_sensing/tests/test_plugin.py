from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ssl_kit.core.discovery import datasets, domains
from ssl_kit.testing import parametrize_with_checks
from ssl_kit.training.setup import resolve
from ssl_kit_remote_sensing.domain import REMOTE_SENSING


def test_the_domain_is_found_by_its_name() -> None:
    assert domains["remote_sensing"] is REMOTE_SENSING


@pytest.mark.parametrize("name", ["geotiff", "remote_sensing_demo"])
def test_its_datasets_are_found(name: str) -> None:
    assert datasets[name].__module__.startswith("ssl_kit_remote_sensing")


def test_the_table_of_contents_is_light() -> None:
    code = (
        "import sys, ssl_kit_remote_sensing as p; p.register_domains(lambda *a, **k: None); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'rasterio', 'albumentations')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@parametrize_with_checks("domain", "remote_sensing")
def test_domain(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "geotiff")
def test_reader(check: Any) -> None:
    check()


@parametrize_with_checks("dataset", "remote_sensing_demo")
def test_demo(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "rs-fewshot")
def test_recipe(check: Any) -> None:
    check()


@pytest.mark.parametrize(("init", "size"), [("scratch", 64), ("imagenet", 96)])
def test_pretrained_weights_get_larger_scenes(init: str, size: int) -> None:
    config = resolve({"domain": "remote_sensing", "data": {"path": "x"}, "encoder": {"init": init}})
    assert config.encoder.image_size == size
