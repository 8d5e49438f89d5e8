"""Values that look like missing data, and values that do not."""

import numpy as np
import pytest

from ssl_kit.data import suspected_fills

RNG = np.random.default_rng(0)
GROUND = RNG.random(5000)


@pytest.mark.parametrize(
    ("ground", "fill"),
    [
        (GROUND, -np.finfo(np.float32).max),
        (GROUND, np.finfo(np.float64).max),
        (GROUND, -9999.0),
        (GROUND, 1e20),
        (GROUND * 5000 - 500, -9999.0),
        (GROUND * 3000, -999.0),
        (GROUND * 3000, 65535.0),
        ((GROUND * 5000).astype(np.int16), -32768),
        ((GROUND * 5000).astype(np.int32), -(2**31)),
    ],
)
def test_frequent_values_far_from_all_others(ground, fill):
    values = np.concatenate([ground, np.full(100, fill, ground.dtype)])
    assert suspected_fills(values) == [float(fill)]


def test_several_at_once():
    fills = [-np.finfo(np.float32).max, np.finfo(np.float32).max, -9999.0]
    values = np.concatenate([GROUND, *(np.full(100, fill) for fill in fills)])
    assert set(suspected_fills(values)) == set(fills)


@pytest.mark.parametrize(
    "values",
    [
        GROUND,
        np.append(GROUND, 50.0),  # a single pixel
        np.concatenate([GROUND * 200, np.full(500, 255.0)]),  # saturated
        np.concatenate([GROUND * 60000, np.full(500, 65535.0)]),
        np.concatenate([GROUND * 4000 + 100, np.zeros(900)]),  # the sea
        np.zeros(1000),
        np.repeat([0.0, 1.0], 500),  # a mask
        np.full(100, np.nan),
    ],
)
def test_measurements(values):
    assert suspected_fills(values) == []
