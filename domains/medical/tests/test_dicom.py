from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from ssl_kit import DataError, UsageError
from ssl_kit_medical.dicom import Dicom, DicomConfig
from ssl_kit_medical.volumes import PLACE, STUDY, VOLUME


def opened(
    path: Path, labels: Path | None = None, value_range: Any = None, **options: Any
) -> Dicom:
    return Dicom.open(path, DicomConfig(**options), labels, value_range)


def keys(data: Dicom) -> list[str]:
    return [data.index.key(i) for i in range(len(data))]


def ramp(height: int = 20, width: int = 30, dtype: str = "int16") -> np.ndarray:
    return np.arange(height * width).reshape(height, width).astype(dtype)


def test_reads_every_transfer_syntax_of_the_real_files(real_data: Path) -> None:
    data = opened(real_data / "dicom")
    assert len(data) == 52 + 29 + 3 * 14  # one file of 30 frames, three of 15
    for i in range(len(data)):
        image = data[i].image
        assert image.shape[2] == 1
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.max() > image.min()


@pytest.mark.parametrize(
    "syntax", ["RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless"]
)
def test_lossless_forms_of_one_image_are_equal(real_data: Path, syntax: str) -> None:
    plain = opened(real_data / "dicom" / "MR_small.dcm").values(0)
    assert np.array_equal(opened(real_data / "dicom" / f"MR_small_{syntax}.dcm").values(0), plain)


def test_colors_are_right_whatever_the_coding(real_data: Path) -> None:
    names = [
        "SC_rgb_rle",
        "SC_rgb_jpeg_gdcm",
        "SC_rgb_dcmtk_+eb+cy+s4",
        "SC_ybr_full_422_uncompressed",
    ]
    for name in (*names, "SC_rgb_rle_16bit", "SC_rgb_jls_lossy_line", "SC_rgb_gdcm_KY"):
        image = opened(real_data / "dicom" / f"{name}.dcm")[0].image
        assert image.dtype == np.uint8
        assert np.abs(image[5, 50].astype(int) - [255, 0, 0]).max() <= 2  # the first bar is red


def test_jpeg_of_12_bits_is_like_another_form_of_its_image(real_data: Path) -> None:
    folder = real_data / "dicom"
    a, b = (opened(folder / f"{name}.dcm").values(0) for name in ("JPGExtended", "JPEG2000"))
    assert a.max() > 255
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9  # both are lossy


def test_palette_color_is_looked_up(real_data: Path) -> None:
    data = opened(real_data / "dicom" / "examples_palette.dcm")
    assert data.channels == ("red", "green", "blue")
    assert np.ptp(data.read(0).astype(int), axis=2).max() > 50


@pytest.mark.parametrize(
    ("modality", "scaling", "channels"),
    [("CT", "dataset", 1), ("MR", "volume", 1), ("US", "bytes", 3)],
)
def test_auto_suits_the_modality(
    real_data: Path, modality: str, scaling: str, channels: int
) -> None:
    data = opened(real_data / "dicom", modality=modality)
    assert data._scaling == scaling
    assert len(data.channels) == channels


def test_ct_is_in_hounsfield_units_and_nothing_is_below_air(real_data: Path) -> None:
    data = opened(real_data / "dicom", modality="CT")
    (low, high), *_ = data.value_range
    assert low == -1024
    assert 500 < high < 3000


def test_rescales(write_dicom) -> None:
    path = write_dicom(ramp(), RescaleSlope=2, RescaleIntercept=-100)
    assert np.array_equal(opened(path).values(0)[..., 0], ramp() * 2 - 100)


def test_rescales_by_a_table(write_dicom) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.LUTData = np.array([10, 20, 40, 80], "uint16").tobytes()
    path = write_dicom(np.array([[0, 1], [2, 3]], "uint16"), ModalityLUTSequence=[table])
    assert opened(path).values(0).ravel().tolist() == [10, 20, 40, 80]


def test_enhanced_objects_keep_their_slope_elsewhere(write_dicom) -> None:
    values, group = pydicom.Dataset(), pydicom.Dataset()
    values.RescaleSlope, values.RescaleIntercept = 3, 5
    group.PixelValueTransformationSequence = [values]
    path = write_dicom(ramp(), SharedFunctionalGroupsSequence=[group])
    assert opened(path).values(0)[0, :3, 0].tolist() == [5, 8, 11]


@pytest.mark.parametrize(
    ("dtype", "stored", "expected"),
    [
        ("uint8", [0, 255], [255, 0]),
        ("uint16", [0, 65535], [65535, 0]),
        ("int16", [-32768, 1], [32767, -2]),
    ],
)
def test_inverts_monochrome1(
    write_dicom, dtype: str, stored: list[int], expected: list[int]
) -> None:
    path = write_dicom(
        np.array([stored], dtype), PhotometricInterpretation="MONOCHROME1", Modality="CR"
    )
    assert opened(path).values(0).ravel().tolist() == expected


def test_padding_is_black_and_not_measured(write_dicom) -> None:
    pixels = ramp() + 100
    pixels[:10] = -3000
    data = opened(write_dicom(pixels, PixelPaddingValue=-3000, Modality="MR"))
    assert np.isnan(data.values(0)[:10]).all()
    assert (data[0].image[:10] == 0).all()
    assert data[0].image[11:].min() > 0


def test_a_window_is_the_value_range(write_dicom) -> None:
    path = write_dicom(np.array([[-2000, -1000, -600, 150, 2000]], "int16"))
    data = opened(path, window="lung")
    assert data.value_range.tolist() == [[-1350, 150]]
    assert data[0].image.ravel() == pytest.approx([326 / 1500, 350 / 1500, 0.5, 1, 1])
    assert opened(path, window=(40, 80)).value_range.tolist() == [[0, 80]]


@pytest.mark.parametrize("window", ["lungs", [1], [40, 0], [1, 2, 3], 7, ["a", "b"], [True, True]])
def test_a_wrong_window_names_the_right_ones(window: Any) -> None:
    with pytest.raises(ValueError, match=r"auto, volume, .*lung.* or \[center, width\]"):
        DicomConfig(window=window)


def test_a_volume_is_scaled_by_itself(write_series, tmp_path: Path) -> None:
    slices = np.stack([ramp(), ramp() + 200])
    write_series(slices, "faint", "1.2.3.4", Modality="MR")
    write_series(slices * 10, "bright", "1.2.3.5", Modality="MR")
    data = opened(tmp_path)
    images = [data[i].image for i in range(4)]
    assert np.allclose(images[0], images[2], atol=1e-3)
    assert images[0].mean() < images[1].mean()  # slices of a volume are not


def test_an_encoder_used_again_decides_the_scaling(write_dicom) -> None:
    path = write_dicom(ramp())
    assert opened(path)._scaling == "dataset"
    assert opened(path, value_range=[[0, 1]])[0].image.max() == 1
    again = opened(path, value_range=[[0, 255]])[0].image
    assert again.dtype == np.uint8
    assert again.max() == 255


def test_slices_are_in_the_order_of_the_body(write_series) -> None:
    data = opened(write_series(np.stack([ramp() + z for z in range(4)])))
    assert keys(data) == ["004.dcm", "003.dcm", "002.dcm", "001.dcm"]
    assert data.index.positions[:, PLACE].tolist() == [0, 2.5, 5, 7.5]
    assert (data.index.positions[:, [STUDY, VOLUME]] == 0).all()


def test_what_is_no_volume_is_kept_apart(write_series, tmp_path: Path) -> None:
    write_series(np.stack([ramp()] * 2), "a", "1.2.3.4")
    write_series(np.stack([ramp()] * 2), "b", "1.2.3.5")
    write_series(np.stack([ramp(40, 40)] * 2), "scout", "1.2.3.5")
    assert opened(tmp_path).index.positions[:, VOLUME].tolist() == [0, 0, 1, 1, 2, 2]


def test_neighbors_become_channels(write_series) -> None:
    data = opened(write_series(np.stack([np.full((4, 4), z, "int16") for z in range(3)])), slices=3)
    assert data.channels == ("slice-1", "slice", "slice+1")
    assert [data.read(i)[0, 0].tolist() for i in range(3)] == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]


def test_each_frame_is_an_image(write_dicom) -> None:
    data = opened(write_dicom(np.stack([ramp() + n for n in range(3)]), "cine.dcm"))
    assert keys(data) == ["cine.dcm#0", "cine.dcm#1", "cine.dcm#2"]
    assert [data.values(i)[0, 0, 0] for i in range(3)] == [0, 1, 2]
    assert len(np.unique(data.index.positions[:, VOLUME])) == 1


def test_frames_of_a_real_cine_differ(real_data: Path) -> None:
    data = opened(real_data / "dicom" / "examples_ybr_color.dcm")
    assert len(data) == 30
    assert not np.array_equal(data.read(0), data.read(15))


@pytest.mark.parametrize(("group", "groups"), [("patient", 2), ("study", 3)])
def test_a_group_is_a_patient_or_a_study(
    write_dicom, tmp_path: Path, group: str, groups: int
) -> None:
    for name, patient, study in (
        ("a", "1", "1.1"),
        ("b", "1", "1.2"),
        ("c", "2", "1.3"),
        ("d", "2", "1.3"),
    ):
        write_dicom(ramp(), f"{name}.dcm", PatientID=patient, StudyInstanceUID=study)
    assert len(np.unique(opened(tmp_path, group=group).index.groups)) == groups


def test_without_identifiers_a_file_is_a_group(write_dicom, tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(ramp(), f"{name}.dcm", PatientID="", StudyInstanceUID="", SeriesInstanceUID="")
    index = opened(tmp_path).index
    assert len(np.unique(index.groups)) == 2
    assert len(np.unique(index.positions[:, VOLUME])) == 2


def test_declared_groups_and_labels_win(write_dicom, tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(ramp(), f"{name}.dcm")
    (tmp_path / "labels.csv").write_text("path,label,group\na.dcm,ill,north\nb.dcm,well,south\n")
    index = opened(tmp_path).index
    assert index.classes == ("ill", "well")
    assert index.group_names.tolist() == [b"north", b"south"]


@pytest.mark.parametrize(("patients", "classes"), [("aabb", ()), ("abcd", ("ill", "well"))])
def test_a_folder_per_patient_is_no_class(
    write_dicom, tmp_path: Path, patients: str, classes: tuple[str, ...]
) -> None:
    for number, patient in enumerate(patients):
        write_dicom(ramp(), f"{'ill' if number < 2 else 'well'}/{number}.dcm", PatientID=patient)
    assert opened(tmp_path).index.classes == classes


def test_color_among_gray_and_gray_among_color(write_dicom, tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(ramp(), f"{name}.dcm", Modality="MR", SeriesInstanceUID=f"1.{ord(name)}")
    color = np.zeros((20, 30, 3), "uint8")
    color[:, 15:] = [200, 0, 0]
    write_dicom(color, "c.dcm", Modality="US", SeriesInstanceUID="1.9")
    assert [image.shape for image in map(opened(tmp_path).read, range(3))] == [(20, 30, 1)] * 3
    rgb = opened(tmp_path, channels="rgb")
    assert all(rgb.read(i).dtype == np.uint8 and rgb.read(i).shape == (20, 30, 3) for i in range(3))


def test_color_has_no_window(write_dicom) -> None:
    path = write_dicom(np.zeros((4, 4, 3), "uint8"))
    for options in ({"window": "lung"}, {"slices": 3}):
        with pytest.raises(UsageError, match=r"data\.options\.channels gray"):
            opened(path, **options)


def test_takes_files_without_an_ending(write_dicom, tmp_path: Path) -> None:
    write_dicom(ramp(), "1.2.840.1")
    write_dicom(ramp(), "IM0001")
    (tmp_path / "notes").write_text("no image")
    assert Dicom.accepts(tmp_path)
    assert keys(opened(tmp_path)) == ["1.2.840.1", "IM0001"]


def test_does_not_accept_a_folder_of_pictures(write_dicom, tmp_path: Path) -> None:
    write_dicom(ramp())
    assert Dicom.accepts(tmp_path)
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).touch()
    assert not Dicom.accepts(tmp_path)


def test_what_holds_no_image_is_left_out(write_dicom, tmp_path: Path) -> None:
    write_dicom(ramp())
    path = write_dicom(ramp(), "report.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    report = pydicom.dcmread(path)
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(report, tag)
    report.save_as(path)
    assert keys(opened(tmp_path)) == ["a.dcm"]


def test_what_is_broken_or_left_out_does_not_decide(write_dicom, tmp_path: Path) -> None:
    write_dicom(np.zeros((4, 4, 3), "uint8"), "a.dcm", Modality="US")
    (tmp_path / "b.dcm").write_bytes(b"garbage")
    write_dicom(ramp(), "c.dcm")
    data = opened(tmp_path, modality="CT")
    assert data.channels == ("gray",)
    assert data._scaling == "dataset"
    assert keys(data) == ["b.dcm", "c.dcm"]


def test_survives_pickling_and_forking(write_series) -> None:
    data = opened(write_series(np.stack([ramp() + z for z in range(3)])))
    expected = data.read(1)
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(1), expected)
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(data.read(1)))
    child.start()
    assert np.array_equal(queue.get(), expected)
    child.join()


def test_a_slice_of_another_size_is_no_neighbor(
    write_dicom, monkeypatch: pytest.MonkeyPatch, write_series
) -> None:
    data = opened(write_series(np.stack([ramp()] * 3)), slices=3)
    values = data.values
    monkeypatch.setattr(data, "values", lambda i: values(i)[: 20 - i])
    with pytest.raises(DataError, match="another size"):
        data.read(1)
