"""What is told of the memory of this process."""

import sys

import numpy as np
import pytest

from ssl_kit.training.resources import forget_peak_memory, peak_memory, resident_memory


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is that of the process")
def test_the_peak_of_memory_begins_anew():
    large = np.ones(20_000_000)  # 160 MB
    assert large.all()
    del large
    highest = peak_memory()
    forget_peak_memory()
    assert peak_memory() < highest - 10**8
    assert abs(peak_memory() - resident_memory()) < 10**8
