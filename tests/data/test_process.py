import platform
import subprocess
import sys

import pytest

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
