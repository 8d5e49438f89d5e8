import pickle

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


@pytest.mark.parametrize(
    "labels", [[0, 1, np.nan], ["0", "1", "NA"], [[1, 0], [0, 1], [np.nan] * 2]]
)
def test_a_missing_label_is_no_class(tmp_path, labels):
    np.savez(tmp_path / "s.npz", images=RNG.random((3, 8, 8)), labels=labels)
    index = Arrays(tmp_path / "s.npz").index
    assert len(index.classes) == 2
    assert index.labels.tolist() == [0, 1, -1]
    assert index.targets is None


def test_labels_that_are_taken_for_missing_are_counted(tmp_path):
    images = RNG.random((3, 8, 8))
    np.savez(tmp_path / "s.npz", images=images, labels=["DE", "FR", "NA"], groups=["-", "p", "q"])
    assert Arrays(tmp_path / "s.npz").index.remarks == (
        "1 image has the label 'NA', which is taken for missing. Give it another name if it is a "
        "class.",
        "1 image has the group '-', which is taken for missing. Give it another name if it is a "
        "group.",
    )


def test_numbers_of_which_one_is_missing_stay_numbers(tmp_path):
    np.savez(tmp_path / "s.npz", images=RNG.random((4, 8, 8)), labels=[0.5, 1.5, 2.5, np.nan])
    index = Arrays(tmp_path / "s.npz").index
    assert np.isnan(index.targets[:, 0]).tolist() == [False] * 3 + [True]


def test_a_missing_group_is_a_group_of_its_own(tmp_path):
    groups = [1.0, 1.0, np.nan, np.nan]
    np.savez(tmp_path / "s.npz", images=RNG.random((4, 8, 8)), groups=groups)
    assert len(Arrays(tmp_path / "s.npz").index.group_names) == 3


def test_a_memory_mapped_stack_is_not_pickled(tmp_path):
    np.save(tmp_path / "s.npy", RNG.random((20, 64, 64)))
    data = Arrays(tmp_path / "s.npy")
    content = pickle.dumps(data)
    assert len(content) < 20_000
    assert np.array_equal(pickle.loads(content).read(3), data.read(3))


def test_a_stack_is_known_by_its_content_whatever_its_name(tmp_path):
    first, second = RNG.random((2, 4, 8, 8))
    for folder, stack in (("site1", first), ("site2", second)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "images.npy", stack)
    np.savez(tmp_path / "renamed.npz", images=first)
    names = ("site1/images.npy", "site2/images.npy", "renamed.npz")
    groups = [Arrays(tmp_path / name).index.group_hashes() for name in names]
    assert groups[0] == groups[2]
    assert not groups[0] & groups[1]
