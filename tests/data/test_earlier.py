"""Which value ranges are taken for the same unit."""

import numpy as np
import pytest

from ssl_kit.data.earlier import _alike


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ((300, 3000), (100, 2500), True),  # another scene
        ((-60, 0), (-55, 5), True),  # decibels
        ((-60, 0), (20, 80), False),  # without calibration
        ((0, 255), (3, 250), True),  # 8 bits in a wider type
        ((0, 255), (0, 1400), False),
        ((0, 255), (0, 1), False),
        ((270, 320), (-5, 45), False),  # kelvin and degrees Celsius
        ((14, 255), (300, 3000), False),
    ],
)
def test_ranges_of_one_unit(a, b, alike):
    assert _alike(np.array(a, float), np.array(b, float)) is alike
    assert _alike(np.array(b, float), np.array(a, float)) is alike
