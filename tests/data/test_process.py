import logging
import platform
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

import ssl_kit
from ssl_kit.data.process import prepare_process, seeded, show_log

CODE = """
import resource, torch
from ssl_kit.data.process import keep_freed_memory
keep_freed_memory()
for _ in range(20):  # the first ones leave holes that are too small by the alignment
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(40 << 20, dtype=torch.uint8)  # 10,000 pages of 4 KiB
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_kept_for_the_next_tensor() -> None:
    # A process of its own: a thread beside the main one, in which tests may run, gives it back.
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert min(map(int, done.stdout.split())) < 100, done.stdout


def test_a_seed_holds_in_its_block_only():
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_opencv_gets_no_threads_of_its_own():
    prepare_process.cache_clear()
    cv2.setNumThreads(4)
    prepare_process()
    assert cv2.getNumThreads() <= 1


def test_a_message_is_shown_once_and_by_the_latest_only():
    logger, shown, later, warned = logging.getLogger("ssl_kit"), [], [], []
    show_log(shown.append, warned.append)
    logger.info("left out")
    logger.info("left out")
    show_log(later.append, warned.append)
    logger.info("left out")
    logger.warning("look")
    assert (shown, later, warned) == (["left out"], ["left out"], ["look"])


def test_settings_of_the_process_are_made_in_one_file():
    """OpenCV's threads, malloc, handlers and torch's seed are nowhere else in the package."""
    calls = r"setNumThreads|mallopt|basicConfig|\.handlers\b|np\.random\.seed|random\.seed\("
    folder = Path(ssl_kit.__file__).parent
    files = [f for part in ("core", "nn", "data", "training", "evaluation", "reports", "commands",
                            "plugins") for f in (folder / part).rglob("*.py")]  # fmt: skip
    elsewhere = {
        file.name for file in files
        if file.name != "process.py" and re.search(calls, file.read_text())
    }  # fmt: skip
    assert elsewhere == set()
