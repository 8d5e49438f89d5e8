import platform
import resource

import pytest
import torch

from ssl_kit.core.device import choose_device


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_on_a_cpu_freed_memory_is_kept_for_the_next_tensor() -> None:
    if choose_device().type != "cpu":
        pytest.skip("There is a GPU")
    faults = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(40 << 20, dtype=torch.uint8)  # 10,000 pages of 4 KiB
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 100, faults
