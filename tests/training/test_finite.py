import numpy as np
import pytest

from ssl_kit.training.finite import NotFiniteError, require_finite


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3,), (3, 0), (3, 4), (2, 3, 4)])
def test_finite_numbers_of_any_shape_pass(shape):
    require_finite(np.zeros(shape), "rows")


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
def test_rows_are_counted(shape):
    values = np.zeros(shape)
    values[1], values[3] = np.nan, np.inf
    with pytest.raises(NotFiniteError, match="2 of 5 scores are NaN"):
        require_finite(values, "scores")
