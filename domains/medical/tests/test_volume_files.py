"""Volumes of other formats and shapes, and segmentations among them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_medical.masks import are_labels, find_masks
from ssl_kit_medical.nifti import Nifti, NiftiConfig

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(0, 900, (12, 10, 4)).astype("int16")
LABELS = RNG.choice(3, (12, 10, 4), p=[0.8, 0.15, 0.05]).astype("uint8")
RGB = [(name, "u1") for name in "RGB"]


def opened(path: Path, **options: Any) -> Nifti:
    return Nifti.open(path, NiftiConfig(**options))


def remarks(data: Nifti) -> str:
    return "\n".join(data.index.remarks)


def write_mha(path: Path, kind: str = "MET_SHORT", header: str = "", data: str = "LOCAL") -> Path:
    text = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 2 3\n"
        f"DimSize = 12 10 4\n{header}ElementType = {kind}\nElementDataFile = {data}\n"
    )
    voxels = VOXELS.tobytes(order="F")
    path.write_bytes(text.encode() + (voxels if data == "LOCAL" else b""))
    if data != "LOCAL":
        (path.parent / data).write_bytes(voxels)
    return path


def write_nrrd(path: Path, space: str = "space: left-posterior-superior") -> Path:
    text = (
        f"NRRD0004\ntype: short\ndimension: 3\n{space}\nsizes: 12 10 4\n"
        "space directions: (1,0,0) (0,2,0) (0,0,3)\nkinds: domain domain domain\n"
        "endian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(text.encode() + VOXELS.tobytes(order="F"))
    return path


def as_nifti(folder: Path) -> Path:
    """The same volume as NIfTI, whose axes are right, anterior, superior."""
    nib.save(nib.Nifti1Image(VOXELS, np.diag([-1, -2, 3, 1])), folder / "same.nii")
    return folder / "same.nii"


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd"])
def test_other_formats_are_read_as_nifti_is(tmp_path: Path, name: str) -> None:
    pytest.importorskip("SimpleITK")
    if name == "a.nrrd":
        path = write_nrrd(tmp_path / name)
    else:
        path = write_mha(tmp_path / name, data="LOCAL" if name == "a.mha" else "a.raw")
    for plane in ("axial", "coronal", "sagittal"):
        data, same = opened(path, plane=plane), opened(as_nifti(tmp_path), plane=plane)
        assert len(data) == len(same)
        assert all(np.array_equal(data.values(i), same.values(i)) for i in range(len(data)))


def test_without_the_library_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    path = write_nrrd(tmp_path / "a.nrrd")
    assert Nifti.accepts(tmp_path)
    with pytest.raises(DataError, match=r"a\.nrrd.*pip install 'ssl-kit-medical\[itk\]'"):
        opened(path)


def test_damaged_volumes_of_other_formats(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    (tmp_path / "a.mha").write_bytes(b"SECRET")
    with pytest.raises(DataError, match="damaged header") as caught:
        opened(tmp_path)
    assert "SECRET" not in str(caught.value)
    path = write_mha(tmp_path / "a.mha", header="CompressedData = False\n")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cut off"):
        opened(path).values(0)


@pytest.mark.parametrize("suffix", [".img", ".IMG"])
def test_a_pair_of_header_and_voxels_is_one_volume(tmp_path: Path, suffix: str) -> None:
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "a.img")
    if suffix == ".IMG":
        for half in ("hdr", "img"):
            (tmp_path / f"a.{half}").rename(tmp_path / f"A.{half.upper()}")
    assert Nifti.accepts(tmp_path)
    data = opened(tmp_path)
    assert len(data) == 4
    assert data.values(0).max() == VOXELS[..., 0].max()
    assert remarks(data) == ""


def test_half_a_pair_is_no_volume(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.img").unlink()
    assert not Nifti.accepts(tmp_path)
    with pytest.raises(DataError, match="has no voxels"):
        opened(tmp_path / "a.hdr")


def test_analyze_files_do_not_say_how_the_body_lies(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(VOXELS, None), tmp_path / "a.img")
    assert "1 volume does not say how the body lies" in remarks(opened(tmp_path))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_other_formats_may_not_say_how_the_body_lies(tmp_path: Path, name: str) -> None:
    pytest.importorskip("SimpleITK")
    if name == "a.nrrd":
        path = write_nrrd(tmp_path / name, "space dimension: 3")
    else:
        path = write_mha(tmp_path / name)
        content = path.read_bytes()
        path.write_bytes(content.replace(b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b""))
    assert "the axes are taken for left, back and top in this order" in remarks(opened(tmp_path))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_other_formats_that_say_how_the_body_lies_have_no_remark(tmp_path: Path, name: str) -> None:
    pytest.importorskip("SimpleITK")
    (write_nrrd if name == "a.nrrd" else write_mha)(tmp_path / name)
    assert "how the body lies" not in remarks(opened(tmp_path))


def test_a_slice_is_an_image_whatever_its_plane(write_nifti) -> None:
    data = opened(write_nifti(VOXELS[..., 0], "a.nii"), plane="coronal")
    assert len(data) == 1
    assert data.values(0).shape == (10, 12, 1)
    assert "not coronal" in remarks(data)
    assert len(opened(write_nifti(VOXELS[:, :1], "b.nii"))) == 1


def test_colors_are_read(write_nifti) -> None:
    colors = np.zeros((12, 10, 4), RGB)
    colors["R"], colors["B"] = 200, LABELS
    data = opened(write_nifti(colors))  # type: ignore[call-overload]
    assert data.channels == ("red", "green", "blue")
    assert data[0].image.dtype == np.uint8
    assert data[0].image[0, 0].tolist() == [200, 0, LABELS[-1, -1, 0]]
    assert opened(write_nifti(colors), channels="gray")[0].image.shape == (10, 12, 1)
    sides = opened(write_nifti(colors), plane="sagittal")
    assert [sides.values(i)[0, 0, 2] for i in range(12)] == LABELS[:, -1, -1].tolist()


@pytest.mark.parametrize("mask", ["x/{}_roi_17.nii.gz", "{}-lesions.nii", "other/{}.nii.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_segmentations_are_known_by_their_values(
    write_nifti, tmp_path: Path, mask: str, dtype: str
) -> None:
    for case in ("sub-1", "sub-2"):
        write_nifti(VOXELS, f"{case}_T1w.nii.gz")
        write_nifti(LABELS.astype(dtype), mask.format(case))
    data = opened(tmp_path)
    assert len(data) == 8
    assert data.index.classes == ()
    assert "left out" in remarks(data)


def test_segmentations_alone_or_with_labels_are_images(write_nifti, tmp_path: Path) -> None:
    for name in "ab":
        write_nifti(LABELS, f"{name}.nii")
    assert len(opened(tmp_path)) == 8
    write_nifti(VOXELS, "c.nii")
    (tmp_path / "labels.csv").write_text("path,label\na.nii,x\nb.nii,y\nc.nii,x\n")
    assert len(opened(tmp_path)) == 12


def test_what_are_labels() -> None:
    blocks = np.kron(np.arange(100).reshape(10, 10), np.ones((8, 8)))
    assert are_labels(blocks)
    assert are_labels(np.zeros((10, 10))) is None
    noise = RNG.integers(0, 100, (80, 80))
    for image in (noise, noise / 100, VOXELS[..., 0], -LABELS[..., 0].astype(int)):
        assert are_labels(image) is False


def test_of_many_files_some_of_each_kind_are_looked_at() -> None:
    names = [f"{kind}/{n}.nii" for n in range(500) for kind in ("image", "label")]
    looked_at: list[int] = []

    def is_mask(i: int) -> bool:
        looked_at.append(i)
        return names[i].startswith("label")

    masks, _ = find_masks(names, is_mask)
    assert [names[i] for i in masks] == [name for name in names if name.startswith("label")]
    assert len(looked_at) < 10


def test_sequences_of_a_case_are_one_group(write_nifti, tmp_path: Path) -> None:
    for name in ("p1/p1_t1", "p1/p1_flair", "p2/p2_t1", "p3/p3_t1"):
        write_nifti(VOXELS, f"{name}.nii.gz")
    data = opened(tmp_path)
    assert len(np.unique(data.index.groups)) == 3
    assert "2 files of the same names but for the sequence" in remarks(data)
    assert "2 files are a group each" in remarks(data)


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        (("phantom_varscale.PAR", "phantom_varscale.REC"), (64, 64, 1)),
        (("example4d+orig.HEAD", "example4d+orig.BRIK.gz"), (41, 33, 1)),
        (("minc1_4d.mnc",), (10, 20, 1)),
    ],
)
def test_reads_what_nibabel_reads(
    tmp_path: Path, names: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    samples = Path(nib.__file__).parent / "tests" / "data"
    for name in names:
        if not (samples / name).is_file():
            pytest.skip("nibabel came without its test data")
        shutil.copy(samples / name, tmp_path)
    data = opened(tmp_path)
    assert data.values(0).shape == shape
    assert remarks(data) == ""


def test_a_missing_half_is_named(tmp_path: Path) -> None:
    samples = Path(nib.__file__).parent / "tests" / "data"
    if not (samples / "T1.PAR").is_file():
        pytest.skip("nibabel came without its test data")
    shutil.copy(samples / "T1.PAR", tmp_path)
    with pytest.raises(DataError, match="has no voxels"):
        opened(tmp_path)


def test_colors_along_a_fifth_axis(write_nifti) -> None:
    colors = RNG.integers(0, 255, (12, 10, 4, 1, 3)).astype("uint8")
    image = opened(write_nifti(colors)).values(1)
    assert np.array_equal(image[0, 0], colors[-1, -1, 1, 0])


def test_voxels_of_a_header_are_not_among_what_is_not_read(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    write_mha(tmp_path / "a.mhd", data="a.raw")
    assert remarks(opened(tmp_path)) == ""
