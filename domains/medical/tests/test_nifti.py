from __future__ import annotations

import multiprocessing
import pickle
import resource
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ssl_kit_medical.nifti import Nifti, NiftiConfig
from ssl_kit_medical.volumes import PLACE, STUDY, VOLUME


def opened(path: Path, labels: Path | None = None, **options: Any) -> Nifti:
    return Nifti.open(path, NiftiConfig(**options), labels)


def volume(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype("int16")


@pytest.mark.parametrize(("plane", "slices"), [("axial", 170), ("coronal", 706), ("sagittal", 707)])
def test_reads_the_real_files(real_data: Path, plane: str, slices: int) -> None:
    data = opened(real_data / "nifti", plane=plane)
    assert len(data) == slices
    for i in range(0, len(data), 7):
        image = data[i].image
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "example4d.nii.gz", "functional.nii", "example_nifti2.nii.gz"]
)
def test_axial_slices_of_real_files_hold_every_voxel(real_data: Path, name: str) -> None:
    data = opened(real_data / "nifti" / name)
    expected = nib.load(real_data / "nifti" / name).get_fdata()
    seen = np.concatenate(
        [data._scaled(i).ravel() * 0 + data.values(i).ravel() for i in range(len(data))]
    )
    assert len(seen) == expected.size
    assert np.allclose(np.sort(seen), np.sort(expected.ravel()), rtol=1e-5)


def test_the_brain_looks_up_and_forward(real_data: Path) -> None:
    """The template is in RAS: an axial slice has the front at the top, the right on the left."""
    image = nib.load(real_data / "nifti" / "anatomical.nii")
    world = nib.as_closest_canonical(image).get_fdata()
    axial = opened(real_data / "nifti" / "anatomical.nii").values(12)[..., 0]
    assert np.array_equal(axial, world[::-1, ::-1, 12].T)
    coronal = opened(real_data / "nifti" / "anatomical.nii", plane="coronal").values(20)[..., 0]
    assert np.array_equal(coronal, world[::-1, 20, ::-1].T)
    sagittal = opened(real_data / "nifti" / "anatomical.nii", plane="sagittal").values(10)[..., 0]
    assert np.array_equal(sagittal, world[10, ::-1, ::-1].T)


@pytest.mark.parametrize("code", ["RAS", "LPS", "SRA", "PIL", "ASR"])
def test_the_order_of_the_file_does_not_matter(write_nifti, code: str) -> None:
    straight = nib.Nifti1Image(volume(5, 6, 7), np.eye(4))
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(straight.affine), nib.orientations.axcodes2ornt(code)
    )
    turned = straight.as_reoriented(turn)
    path = write_nifti(np.asarray(turned.dataobj), affine=turned.affine)
    first = write_nifti(volume(5, 6, 7), "straight.nii")
    for plane in ("axial", "coronal", "sagittal"):
        a, b = opened(path, plane=plane), opened(first, plane=plane)
        assert all(np.array_equal(a.values(i), b.values(i)) for i in range(len(b)))


def test_pixels_are_made_square(write_nifti) -> None:
    path = write_nifti(volume(10, 12, 4), affine=np.diag([1, 1, 5, 1]))
    assert opened(path).values(0).shape == (12, 10, 1)
    assert opened(path, plane="coronal").values(0).shape == (20, 10, 1)


def test_positions_are_the_number_of_the_slice(write_nifti) -> None:
    index = opened(write_nifti(volume(3, 4, 5))).index
    assert index.positions[:, PLACE].tolist() == [0, 1, 2, 3, 4]
    assert index.key(4) == "a.nii#4"


def test_each_time_is_a_volume(write_nifti) -> None:
    data = opened(write_nifti(volume(3, 4, 5, 2)))
    assert data.index.positions[:, VOLUME].tolist() == [0] * 5 + [1] * 5
    assert (data.index.positions[:, STUDY] == 0).all()
    assert data.index.key(9) == "a.nii#4,1"
    assert data.values(9)[-1, -1, 0] == volume(3, 4, 5, 2)[0, 0, 4, 1]


def test_neighbors_become_channels_within_a_volume(write_nifti) -> None:
    data = opened(write_nifti(volume(3, 4, 5, 2)), slices=3, window=(50, 100))
    image = data.read(5)  # the first slice of the second time
    assert np.array_equal(image[..., 0], image[..., 1])
    assert np.array_equal(image[..., 2], data.values(6)[..., 0])
    assert data.channels == ("slice-1", "slice", "slice+1")


def test_margin_leaves_out_the_ends(write_nifti) -> None:
    data = opened(write_nifti(volume(3, 4, 10)), margin=0.2)
    assert data.index.positions[:, PLACE].tolist() == [2, 3, 4, 5, 6, 7]


def test_subjects_and_sessions_of_bids(write_nifti, tmp_path: Path) -> None:
    for name in (
        "sub-01/ses-1/anat/sub-01_ses-1_T1w",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w",
        "sub-02/anat/sub-02_T1w",
    ):
        write_nifti(volume(3, 4, 2), f"{name}.nii.gz")
    index = opened(tmp_path).index
    assert index.group_names.tolist() == [b"sub-01", b"sub-02"]
    assert index.positions[:, STUDY].tolist() == [0, 0, 1, 1, 2, 2]
    assert index.classes == ()  # a folder per subject is no class


def test_class_folders_hold_for_all_slices(write_nifti, tmp_path: Path) -> None:
    for name in ("ill/a", "ill/b", "well/c", "well/d"):
        write_nifti(volume(3, 4, 2), f"{name}.nii")
    index = opened(tmp_path).index
    assert index.classes == ("ill", "well")
    assert len(np.unique(index.groups)) == 4
    assert index.labels.tolist() == [0] * 4 + [1] * 4


def test_complex_voxels_are_taken_by_magnitude(write_nifti) -> None:
    data = opened(write_nifti(np.full((3, 4, 2), 3 + 4j, "complex64")))
    assert (data.values(0) == 5).all()


def test_survives_pickling_and_forking(write_nifti) -> None:
    data = opened(write_nifti(volume(6, 7, 8), "a.nii.gz"))
    expected = data.read(3)
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(3), expected)
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(data.read(3)))
    child.start()
    assert np.array_equal(queue.get(), expected)
    child.join()


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_memory_stays_flat(tmp_path: Path, plane: str) -> None:
    """A volume of 256 MB, of holes on the disk, is read slice by slice."""
    path = tmp_path / "big.nii"
    header = nib.Nifti1Header()
    header.set_data_dtype("int16")
    header.set_data_shape((512, 256, 1024))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    header.set_sform(np.eye(4), 1)
    path.write_bytes(header.binaryblock + b"\0\0\0\0")
    with path.open("r+b") as file:
        file.truncate(352 + 512 * 256 * 1024 * 2)
    data = opened(path, plane=plane, window=(0, 100))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data.read(len(data) // 2)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KB


def test_options_that_give_the_channels_of_an_encoder(write_nifti) -> None:
    data = opened(write_nifti(volume(8, 8, 4)))
    three = ("slice-1", "slice", "slice+1")
    assert data.options_for(three) == {"channels": "gray", "slices": 3}
    assert data.options_for(("red", "green", "blue")) == {"channels": "rgb"}
    assert data.options_for(("t1", "t2")) == {}
