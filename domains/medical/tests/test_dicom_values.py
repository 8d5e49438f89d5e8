"""Palettes, tables of real world values, padding and single bits of DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, SegmentationStorage

from ssl_kit_medical.dicom_files import read_frame

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
NUMBERS = RNG.integers(0, 256, (8, 10), dtype=np.uint8)


def palette(colors: np.ndarray, bits: int, dtype: str) -> dict[str, Any]:
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, name in enumerate(("Red", "Green", "Blue")):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        data = colors[:, channel].astype(dtype).tobytes()
        tags[f"{name}PaletteColorLookupTableData"] = data
    return tags


@pytest.mark.parametrize(
    ("factor", "bits", "dtype"),
    [(1, 8, "u1"), (1, 8, "<u2"), (1, 16, "<u2"), (256, 16, "<u2"), (257, 16, "<u2")],
)
def test_colors_of_a_palette_of_any_depth(
    write_dicom: Any, factor: int, bits: int, dtype: str
) -> None:
    path = write_dicom(NUMBERS, **palette(COLORS * np.int64(factor), bits, dtype))
    assert np.array_equal(read_frame(path, 0), COLORS[NUMBERS])


def test_a_dark_image_of_a_deep_palette_stays_dark(write_dicom: Any) -> None:
    dark = np.full((8, 10), np.argmin(COLORS.max(1)), np.uint8)
    path = write_dicom(dark, **palette(COLORS * np.int64(256), 16, "<u2"))
    assert np.array_equal(read_frame(path, 0), COLORS[dark])


def with_table(values: np.ndarray, first: int, **tags: Any) -> dict[str, Any]:
    mapping = Dataset()
    mapping.add_new(0x00409216, "US", first)
    mapping.add_new(0x00409211, "US", first + len(values) - 1)
    mapping.add_new(0x00409212, "FD", values.tolist())
    return {"Modality": "MR", "RealWorldValueMappingSequence": Sequence([mapping]), **tags}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_table_of_real_world_values_is_applied(write_dicom: Any, dtype: str) -> None:
    values = np.arange(200) ** 1.5
    image = read_frame(write_dicom(NUMBERS.astype(dtype), **with_table(values, 20)), 0)[..., 0]
    known = (NUMBERS >= 20) & (NUMBERS < 220)
    assert np.allclose(image[known], values[NUMBERS[known] - 20])
    assert np.isnan(image[~known]).all()


def test_a_table_of_real_world_values_is_inverted_where_more_is_darker(write_dicom: Any) -> None:
    tags = with_table(np.arange(256) ** 1.5, 0, PhotometricInterpretation="MONOCHROME1")
    image = read_frame(write_dicom(NUMBERS, **tags), 0)[..., 0]
    assert (image.argmax(), image.argmin()) == (NUMBERS.argmin(), NUMBERS.argmax())


def test_padding_of_a_signed_file_may_be_written_unsigned(write_dicom: Any) -> None:
    stored = NUMBERS.astype("int16")
    stored[:2] = -2000
    path = write_dicom(stored, PixelPaddingValue=-2000)
    content = path.read_bytes()
    at = content.find(b"\x28\x00\x20\x01SS") + 4
    path.write_bytes(content[:at] + b"US" + content[at + 2 :])
    image = read_frame(path, 0)
    assert np.isnan(image[:2]).all()
    assert not np.isnan(image[2:]).any()


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("size", [(7, 9), (8, 9)])
def test_frames_of_single_bits_may_begin_within_a_byte(
    write_dicom: Any, size: tuple[int, int], deflated: bool
) -> None:
    masks = RNG.random((5, *size)) > 0.5
    path: Path = write_dicom(masks.astype("uint8"), Modality="SEG")
    ds = pydicom.dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    packed = np.packbits(masks.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    if deflated:
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(path)
    assert all(np.array_equal(read_frame(path, i)[..., 0], masks[i]) for i in range(5))
