import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit.plugins.datasets.arrays import Arrays, ArraysConfig

RNG = np.random.default_rng(0)


def test_most_files_decide_on_channels_and_kind_of_number(tmp_path):
    np.save(tmp_path / "0.npy", RNG.integers(0, 255, (8, 8, 1), dtype=np.uint8))
    for i in range(1, 5):
        np.save(tmp_path / f"{i}.npy", RNG.random((8, 8, 3)))
    data = Arrays(tmp_path)
    assert len(data.channels) == 3
    assert data.value_range.max() <= 1
    assert "1 of the 5 arrays" in data.index.remarks[0]
    with pytest.raises(DataError, match="uint8 where most files hold floats"):
        data[0]


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_undeclared_fill_values_become_missing(tmp_path, dtype):
    stack = (RNG.random((4, 32, 32)) * 1000).astype(dtype)
    stack[:, :5] = -9999
    np.save(tmp_path / "s.npy", stack)
    data = Arrays(tmp_path / "s.npy")
    assert data.value_range.min() >= 0
    assert np.isnan(data.read(0)[:5]).all()
    assert "-9999" in data.index.remarks[0]
    plain = Arrays(tmp_path / "s.npy", ArraysConfig(guess_nodata=False))
    assert plain.read(0).min() == -9999
    assert not plain.index.remarks


def test_a_file_that_would_run_code_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([1, "a", None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"None of the arrays .* 'a\.npy' is no NumPy array"):
        Arrays(tmp_path)
