"""What headers say twice, of each frame, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from ssl_kit import DataError
from ssl_kit_medical.dicom import Dicom, DicomConfig
from ssl_kit_medical.volumes import PLACE, VOLUME


def opened(path: Path, **options: Any) -> Dicom:
    return Dicom.open(path, DicomConfig(**options))


def ramp(height: int = 6, width: int = 10, dtype: str = "int16") -> np.ndarray:
    return np.arange(height * width).reshape(height, width).astype(dtype)


def groups(**sequences: dict[str, Any]) -> pydicom.Dataset:
    """A functional group of sequences of one item each."""
    group = pydicom.Dataset()
    for name, tags in sequences.items():
        item = pydicom.Dataset()
        for keyword, value in tags.items():
            setattr(item, keyword, value)
        setattr(group, f"{name}Sequence", [item])
    return group


def slope(value: float, intercept: float = 0) -> dict[str, Any]:
    return {"RescaleSlope": value, "RescaleIntercept": intercept}


def remarks(data: Dicom) -> str:
    return "\n".join(data.index.remarks)


def test_each_frame_has_its_slope_and_padding(write_dicom) -> None:
    frames = [groups(PixelValueTransformation=slope(n, -n)) for n in (1, 2, 4)]
    shared = groups(PixelValueTransformation=slope(100))
    data = opened(
        write_dicom(
            np.stack([ramp()] * 3),
            PerFrameFunctionalGroupsSequence=frames,
            SharedFunctionalGroupsSequence=[shared],
            PixelPaddingValue=0,
        )
    )
    assert [np.nanmax(data.values(i)) for i in range(3)] == [58, 116, 232]
    assert all(np.isnan(data.values(i)[0, 0, 0]) for i in range(3))


def test_bytes_with_a_slope_in_one_frame_are_no_plain_bytes(write_dicom) -> None:
    frames = [groups(PixelValueTransformation=slope(n)) for n in (1, 3)]
    pixels = np.stack([ramp(dtype="uint8")] * 2)
    data = opened(write_dicom(pixels, PerFrameFunctionalGroupsSequence=frames))
    assert [data.values(i).max() for i in range(2)] == [59, 177]


def test_a_private_sequence_gives_no_slope(write_dicom) -> None:
    frame = groups(PixelValueTransformation=slope(2))
    private = frame.private_block(0x2005, "VENDOR", create=True)
    item = pydicom.Dataset()
    item.RescaleSlope = 50
    private.add_new(0x0F, "SQ", [item])
    path = write_dicom(ramp(), PerFrameFunctionalGroupsSequence=[frame])
    assert opened(path).values(0).max() == 118


@pytest.mark.parametrize(
    ("tags", "factor"),
    [({"DoseGridScaling": 0.5, "Modality": "RTDOSE"}, 0.5), ({"RealWorldValueMapping": 3}, 3)],
)
def test_other_scalings(write_dicom, tags: dict[str, Any], factor: float) -> None:
    if "RealWorldValueMapping" in tags:
        real = {"RealWorldValueSlope": 3, "RealWorldValueIntercept": 0}
        tags = {"SharedFunctionalGroupsSequence": [groups(RealWorldValueMapping=real)]}
    assert opened(write_dicom(ramp(), **tags)).values(0).max() == 59 * factor


def test_a_slope_of_zero_is_refused(write_dicom) -> None:
    with pytest.raises(DataError, match="rescale slope"):
        opened(write_dicom(ramp(), RescaleSlope=0)).values(0)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_tables_of_twelve_bits_are_inverted_behind_the_table(write_dicom, photometric: str) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor = [3, 1, 12]
    table.LUTData = np.array([10, 20, 40], "uint16").tobytes()
    stored = np.array([[0, 1, 2, 3, 9]], "uint16")
    tags = {"ModalityLUTSequence": [table], "PhotometricInterpretation": photometric}
    values = opened(write_dicom(stored, Modality="CR", **tags)).values(0).ravel()
    expected = np.array([10, 10, 20, 40, 40])
    assert np.array_equal(values, expected if photometric[-1] == "2" else 4095 - expected)


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": [2, 1]},
        {"ImagerPixelSpacing": [0.2, 0.1]},
        {"NominalScannedPixelSpacing": [0.2, 0.1]},
        {"PixelAspectRatio": [2, 1]},
        {"PixelSpacing": [0, 0], "PixelAspectRatio": [2, 1]},
        {"SharedFunctionalGroupsSequence": [groups(PixelMeasures={"PixelSpacing": [2, 1]})]},
        {"PerFrameFunctionalGroupsSequence": [groups(PixelMeasures={"PixelSpacing": [2, 1]})]},
    ],
    ids=["plain", "imager", "scanned", "ratio", "zero", "shared", "frame"],
)
def test_pixels_become_square(write_dicom, tags: dict[str, Any]) -> None:
    assert opened(write_dicom(ramp(), Modality="MR", **tags)).values(0).shape == (12, 10, 1)


def test_colors_and_ultrasound_regions_become_square_too(write_dicom) -> None:
    region = pydicom.Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.01, -0.02
    image = opened(
        write_dicom(
            np.zeros((6, 10, 3), "uint8"), Modality="US", SequenceOfUltrasoundRegions=[region]
        )
    ).values(0)
    assert image.shape == (12, 10, 3)


@pytest.mark.parametrize(
    ("photometric", "shape", "said"),
    [
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME1", "INVERSE", False),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_contradictions_on_what_is_bright_are_said(
    write_dicom, photometric: str, shape: str, said: bool
) -> None:
    pixels = np.array([[0, 100]], "uint16")
    tags = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    path = write_dicom(pixels, Modality="DX", **tags)
    data, other = opened(path), opened(path, polarity="shape")
    assert ("polarity=shape" in remarks(data)) == said
    inverted = data.values(0)[0, 0, 0] > data.values(0)[0, 1, 0]
    assert inverted == (photometric == "MONOCHROME1")
    assert (other.values(0)[0, 0, 0] > other.values(0)[0, 1, 0]) == (shape == "INVERSE")


def test_frames_lie_where_they_say(write_dicom) -> None:
    frames = [
        groups(
            PlanePosition={"ImagePositionPatient": [0, 0, z]},
            PlaneOrientation={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        )
        for z in (5, 0, 5, 0)  # two times of two slices
    ]
    pixels = np.stack([np.full((4, 4), n, "int16") for n in range(4)])
    data = opened(write_dicom(pixels, PerFrameFunctionalGroupsSequence=frames))
    positions = data.index.positions[:, [VOLUME, PLACE]].tolist()
    assert positions == [[0, 0], [0, 5], [1, 0], [1, 5]]
    assert sorted(data.values(i)[0, 0, 0] for i in (0, 2)) == [1, 3]
    assert {data.values(i)[0, 0, 0] for i in (1, 3)} == {0, 2}


def write_studies(write_dicom, patients: list[str], **tags: list[Any]) -> None:
    for n, patient in enumerate(patients):
        each = {name: values[n] for name, values in tags.items()}
        uids = {"StudyInstanceUID": f"1.{n}", "SeriesInstanceUID": f"2.{n}"}
        write_dicom(ramp(), f"{'ab'[n % 2]}/{n}.dcm", PatientID=patient, **{**uids, **each})


def test_one_identifier_for_all_is_said_and_classes_stay(write_dicom, tmp_path: Path) -> None:
    write_studies(write_dicom, ["HOSPITAL 7"] * 4)
    data = opened(tmp_path)
    assert "All 4 studies have one PatientID" in remarks(data)
    assert "group=study" in remarks(data)
    assert "HOSPITAL" not in remarks(data)
    assert data.index.classes == ("a", "b")
    assert len(np.unique(opened(tmp_path, group="study").index.groups)) == 4


@pytest.mark.parametrize(
    "word", ["Anonymous", "ANON^", "unknown", "n/a", "000000", "de-identified"]
)
def test_words_for_unknown_are_no_patient(write_dicom, tmp_path: Path, word: str) -> None:
    write_studies(write_dicom, [word, word, "P-17", "P-18"])
    assert "2 of 4 studies have a PatientID that does not tell" in remarks(opened(tmp_path))


def test_people_of_two_birth_dates_are_not_one(write_dicom, tmp_path: Path) -> None:
    births = ["19500101", "19600101", "19700101", "19700101"]
    write_studies(write_dicom, ["1", "1", "2", "2"], PatientBirthDate=births, PatientSex=["F"] * 4)
    assert "2 of 4 studies" in remarks(opened(tmp_path))
    assert "1950" not in remarks(opened(tmp_path))


def test_patients_that_are_told_apart_need_no_remark(write_dicom, tmp_path: Path) -> None:
    write_studies(write_dicom, ["1", "1", "anon17", "0"])
    assert remarks(opened(tmp_path)) == ""
    (tmp_path / "labels.csv").write_text(
        "path,group\n" + "".join(f"{'ab'[n % 2]}/{n}.dcm,g{n}\n" for n in range(4))
    )
    write_studies(write_dicom, ["anon"] * 4)
    assert "PatientID" not in remarks(opened(tmp_path))


def test_one_study_for_all_is_said(write_dicom, tmp_path: Path) -> None:
    for n in range(3):
        write_dicom(ramp(), f"{n}.dcm", PatientID="", SeriesInstanceUID=f"2.{n}")
    assert "All 3 series have one" in remarks(opened(tmp_path, group="study"))


def test_segmentations_beside_their_images_are_left_out(write_dicom, tmp_path: Path) -> None:
    write_dicom(ramp(), "ct.dcm")
    write_dicom(ramp(dtype="uint8"), "seg.dcm", Modality="SEG", SeriesInstanceUID="9")
    data = opened(tmp_path)
    assert len(data) == 1
    assert "1 segmentation beside the images is left out" in remarks(data)
    assert len(opened(tmp_path, modality="SEG")) == 1


def test_segmentations_alone_are_images(write_dicom, tmp_path: Path) -> None:
    write_dicom(ramp(dtype="uint8"), "seg.dcm", Modality="SEG")
    assert "1 segmentation is read as images" in remarks(opened(tmp_path))


def test_colors_among_gray_are_said(write_dicom, tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(ramp(), f"{name}.dcm", Modality="MR")
    write_dicom(np.zeros((6, 10, 3), "uint8"), "c.dcm", Modality="US", SeriesInstanceUID="9")
    assert "1 of 3 images is in color" in remarks(opened(tmp_path))


def test_a_folder_of_volumes_with_one_dicom_file_is_of_volumes(write_dicom, tmp_path: Path) -> None:
    write_dicom(ramp())
    for name in ("a.nii.gz", "b.nrrd"):
        (tmp_path / name).touch()
    assert not Dicom.accepts(tmp_path)


def test_files_without_an_identifier_are_counted(write_dicom, tmp_path: Path) -> None:
    write_studies(write_dicom, ["1", "", ""])
    assert "2 of 3 files have no PatientID" in remarks(opened(tmp_path))
