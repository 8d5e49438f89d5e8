from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ssl_kit.core.discovery import domains
from ssl_kit.testing import checks_for, parametrize_with_checks
from ssl_kit_audio.domain import AUDIO


def test_the_domain_is_found_by_its_name() -> None:
    assert domains["audio"] is AUDIO


def test_the_table_of_contents_is_light() -> None:
    heavy = "'torch', 'soundfile', 'scipy', 'albumentations', 'cv2'"
    code = (
        "import sys, ssl_kit_audio as p; p.register_domains(lambda *a, **k: None); "
        f"sys.exit(any(name in sys.modules for name in ({heavy})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@parametrize_with_checks("domain", "audio")
def test_domain(check: Any) -> None:
    check()


@pytest.mark.parametrize("name", ["audio_files", "audio_demo"])
def test_datasets(name: str) -> None:
    for check in checks_for("dataset", name):
        check()


@parametrize_with_checks("recipe", "hubert-academic")
def test_hubert_academic(check: Any) -> None:
    check()


@parametrize_with_checks("recipe", "torchaudio-ssl")
def test_torchaudio_ssl(check: Any) -> None:
    check()
