import pickle

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit.plugins.datasets.arrays import Arrays, ArraysConfig
from ssl_kit.plugins.datasets.channel_axis import axis_of

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


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [0.0, 1.0, 2.0], ["a", "b", "c"], [b"a", b"b", b"c"]]
)
def test_a_column_of_labels_and_groups_is_read_like_a_row(tmp_path, labels):
    column = np.array(labels)[:, None]
    images = RNG.random((3, 8, 8))
    np.savez(tmp_path / "s.npz", images=images, labels=column, groups=column)
    index = Arrays(tmp_path / "s.npz").index
    assert index.classes == tuple("abc" if isinstance(labels[0], str | bytes) else "012")
    assert index.labels.tolist() == [0, 1, 2]
    assert len(index.group_names) == 3
    assert not index.remarks


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("labels", [["cat", "big"], ["dog", "big"], ["cat", "small"]]),
        ("labels", [[0.5, 2], [1, 3], [2, 4]]),
        ("labels", np.zeros((3, 8, 8))),
        ("groups", [[0, 1], [1, 0], [0, 1]]),
    ],
)
def test_several_columns_are_no_flags_unless_they_are_0_and_1(tmp_path, name, values):
    np.savez(tmp_path / "s.npz", images=RNG.random((3, 8, 8)), **{name: values})
    with pytest.raises(DataError, match=rf"array {name} of .* has the shape \(3, .* one entry"):
        Arrays(tmp_path / "s.npz")


@pytest.mark.parametrize("names", [("{}_images", "{}_labels"), ("x_{}", "y_{}")])
def test_parts_of_an_archive_are_declared_splits(tmp_path, names):
    parts = {"train": 6, "val": 2, "test": 3}
    pixels = {part: RNG.random((n, 12, 12, 3)) for part, n in parts.items()}
    arrays = {names[0].format(part): images for part, images in pixels.items()}
    arrays |= {names[1].format(part): np.arange(n)[:, None] % 2 for part, n in parts.items()}
    np.savez(tmp_path / "bloodmnist.npz", **arrays)
    data = Arrays(tmp_path / "bloodmnist.npz")
    assert data.index.splits.tolist() == [1] * 6 + [2] * 2 + [3] * 3
    assert data.index.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert np.array_equal(data.read(8), pixels["test"][0])
    assert data.index.key(8) == "test/bloodmnist[0]"
    assert "split" in data.index.origins


def test_arrays_that_are_not_understood_are_named(tmp_path):
    np.savez(tmp_path / "s.npz", scans=RNG.random((3, 8, 8)), maps=RNG.random((3, 8, 8)))
    with pytest.raises(DataError, match=r"called images, .* it has scans \(3, 8, 8\), maps"):
        Arrays(tmp_path / "s.npz")
    np.savez(tmp_path / "s.npz", scans=RNG.random((3, 8, 8)), ages=[1, 2, 3])
    assert "Not read of s.npz: ages (3,)." in Arrays(tmp_path / "s.npz").index.remarks


def test_a_folder_of_archives_says_what_can_be_read(tmp_path):
    np.savez(tmp_path / "s.npz", images=RNG.random((3, 8, 8)))
    assert Arrays.accepts(tmp_path)
    with pytest.raises(DataError, match=r"1 \.npz file\. Choose one of them, --data '.*s\.npz'"):
        Arrays(tmp_path)
    (tmp_path / "a.mat").touch()
    assert not Arrays.accepts(tmp_path)


@pytest.mark.parametrize("form", ["folder", "stack.npy", "stack.npz"])
def test_channels_first_are_told_by_the_shape(tmp_path, form):
    images = RNG.random((4, 3, 24, 20))
    path = tmp_path if form == "folder" else tmp_path / form
    if form == "folder":
        for i, image in enumerate(images):
            np.save(tmp_path / f"{i}.npy", image)
    elif form == "stack.npy":
        np.save(path, images)
    else:
        np.savez(path, images=images)
    data = Arrays(path)
    assert np.array_equal(data.read(1), images[1].transpose(1, 2, 0))
    assert "3x24x20, are taken for CHW" in data.index.remarks[0]
    assert "data.options.channels_first" in data.index.remarks[0]
    plain = Arrays(path, ArraysConfig(channels_first=False))
    assert np.array_equal(plain.read(1), images[1])
    assert not plain.index.remarks


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3, 64, 64), "first"),
        ((12, 32, 48), "first"),
        ((64, 64, 3), "last"),
        ((24, 20, 2), "last"),
        ((145, 145, 200), "last"),
        ((610, 340, 103), "last"),
        ((9, 9, 200), "last"),
        ((3, 64, 200), "doubtful"),
        ((200, 9, 9), "doubtful"),
        ((100, 64, 64), "doubtful"),
    ],
)
def test_which_axis_holds_the_channels(shape, axis):
    assert axis_of(shape) == axis


def test_doubtful_axes_are_warned_of_until_they_are_chosen(tmp_path):
    np.save(tmp_path / "s.npy", RNG.random((4, 30, 9, 9)))
    (warning,) = Arrays(tmp_path / "s.npy").warnings()
    assert "30x9x9, are taken for HWC, but may be CHW" in warning
    assert not [*Arrays(tmp_path / "s.npy", ArraysConfig(channels_first=False)).warnings()]
    names = tuple(map(str, range(30)))
    assert Arrays(tmp_path / "s.npy", ArraysConfig(channels=names)).read(0).shape == (9, 9, 30)


def test_one_picture_is_not_taken_for_many_narrow_images(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(DataError, match=r"64x48x3, which is one image .* Give the folder with all"):
        Arrays(tmp_path / "one.npy")
    assert len(Arrays(tmp_path)) == 1
    np.savez(tmp_path / "many.npz", images=np.zeros((64, 48, 3)), labels=np.arange(64) % 2)
    assert len(Arrays(tmp_path / "many.npz")) == 64
