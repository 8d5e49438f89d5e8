"""Images in MATLAB files of all versions."""

import tracemalloc

import numpy as np
import pytest
from scipy.io import savemat

from ssl_kit import DataError
from ssl_kit.data import read_matlab
from ssl_kit.plugins.datasets.matlab import Matlab, MatlabConfig

RNG = np.random.default_rng(0)
CUBE = RNG.integers(0, 4000, (9, 7, 5)).astype(np.uint16)


def save_73(path, **variables):
    """Writes what MATLAB 7.3 writes: HDF5 with reversed axes and classes as attributes."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            texts = isinstance(value, list)
            if texts:
                cells = [
                    file.create_dataset(
                        f"#refs#/{name}{i}", data=np.array([*map(ord, text)])[:, None]
                    )
                    for i, text in enumerate(value)
                ]
                for cell in cells:
                    cell.attrs["MATLAB_class"] = np.bytes_("char")
                value = np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
            item = file.create_dataset(name, data=value if texts else np.asarray(value).T)
            kind = "cell" if texts else {"float64": "double"}.get(item.dtype.name, item.dtype.name)
            item.attrs["MATLAB_class"] = np.bytes_(kind)


def save_5(path, **variables):
    cells = {
        name: np.array(value, dtype=object) if isinstance(value, list) else value
        for name, value in variables.items()
    }
    savemat(path, cells)


@pytest.mark.parametrize("save", [save_5, save_73])
def test_a_cube_is_an_image_of_many_channels(tmp_path, save):
    save(tmp_path / "a.mat", cube=CUBE, wavelength=400.0)
    data = Matlab(tmp_path)
    assert len(data.channels) == 5
    assert np.array_equal(data.read(0), CUBE)
    assert "9x7x5 are taken for HWC" in data.index.remarks[0]


@pytest.mark.parametrize("save", [save_5, save_73])
@pytest.mark.parametrize(
    ("axes", "shape"), [("HWCN", (9, 7, 3, 4)), ("NHWC", (4, 9, 7, 3)), ("HWN", (9, 7, 4))]
)
def test_a_stack_is_cut_into_images_with_their_labels(tmp_path, save, axes, shape):
    stack = RNG.random(shape)
    save(tmp_path / "a.mat", X=stack, labels=["cat", "dog", "cat", "dog"])
    data = Matlab(tmp_path / "a.mat")
    assert [data.index.classes[k] for k in data.index.labels] == ["cat", "dog", "cat", "dog"]
    assert len(data.index.group_names) == 1
    images = np.moveaxis(stack, axes.index("N"), 0)
    assert np.array_equal(data.read(2), images[2] if "C" in axes else images[2][..., None])


@pytest.mark.parametrize(("axes", "shape"), [("CHW", (3, 24, 20)), ("NCHW", (6, 3, 24, 24))])
def test_channels_first_as_python_writes_them_are_understood(tmp_path, axes, shape):
    array = RNG.random(shape)
    savemat(tmp_path / "a.mat", {"array": array})
    data = Matlab(tmp_path)
    image = array.reshape(-1, *shape[-3:])[0]
    assert np.array_equal(data.read(0), image.transpose(1, 2, 0))
    assert f"are taken for {axes}" in data.index.remarks[0]


def test_the_axes_can_be_named(tmp_path):
    savemat(tmp_path / "a.mat", {"cube": CUBE.transpose(2, 0, 1)})
    data = Matlab(tmp_path, MatlabConfig(axes="chw"))
    assert np.array_equal(data.read(0), CUBE)
    assert not data.index.remarks
    with pytest.raises(DataError, match=r"array 5x9x7, which does not fit data\.options\.axes=HW"):
        Matlab(tmp_path, MatlabConfig(axes="HW"))


def test_of_several_arrays_one_is_chosen_by_name(tmp_path):
    savemat(tmp_path / "a.mat", {"cube": CUBE, "s": {"gt": CUBE[..., 0]}, "c": [CUBE, "x"]})
    message = r"has 2 arrays: cube 9x7x5 uint16, s\.gt 9x7 uint16, c \(cell .*variable=NAME"
    with pytest.raises(DataError, match=message):
        Matlab(tmp_path)
    assert np.array_equal(Matlab(tmp_path, MatlabConfig(variable="s.gt")).read(0), CUBE[..., :1])
    with pytest.raises(DataError, match="has no array 'gt'"):
        Matlab(tmp_path, MatlabConfig(variable="gt"))


@pytest.mark.parametrize(
    "content", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x89HDF\r\n\x1a\n"]
)
def test_what_is_damaged_is_named(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"'a\.mat' (is|the file|has no)"):
        Matlab(tmp_path)


def test_without_h5py_the_new_version_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "a.mat").write_bytes(bytes(512) + b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataError, match="pip install h5py"):
        read_matlab(tmp_path / "a.mat")


def test_opening_does_not_keep_the_files_in_memory(tmp_path):
    stack = RNG.integers(0, 255, (256, 256, 3, 2)).astype(np.uint8)
    for i in range(12):
        savemat(tmp_path / f"{i}.mat", {"images": stack})
    tracemalloc.start()
    Matlab(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * stack.nbytes
