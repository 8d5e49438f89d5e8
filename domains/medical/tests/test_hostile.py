"""Files that are damaged, or lie: one line says why, at no cost."""

from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from ssl_kit import DataError
from ssl_kit_medical.dicom import Dicom, DicomConfig
from ssl_kit_medical.dicom_files import coded_size, read_frame
from ssl_kit_medical.nifti import Nifti, NiftiConfig

PIXELS = np.arange(600).reshape(20, 30).astype("int16")


def refuse(path: Path, pattern: str, kind: type[Dicom] | type[Nifti] = Dicom) -> None:
    """Opens and reads; the error is one line and costs little memory."""
    tracemalloc.start()
    with pytest.raises(DataError, match=pattern) as caught:
        kind.open(path, kind.Config())[0]
    assert "\n" not in str(caught.value)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def change(path: Path, **tags: object) -> Path:
    ds = pydicom.dcmread(path)
    for tag, value in tags.items():
        setattr(ds, tag, value)
    ds.save_as(path)
    return path


def compress(path: Path, stream: bytes, syntax: str = JPEGBaseline8Bit) -> Path:
    ds = pydicom.dcmread(path)
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path)
    return path


@pytest.mark.parametrize(
    "content", [b"", b"garbage" * 100, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 500]
)
def test_garbage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.dcm").write_bytes(content)
    refuse(tmp_path, "None of the DICOM files")


def test_one_bad_file_among_good_ones_is_one_unreadable_image(write_dicom, tmp_path: Path) -> None:
    write_dicom(PIXELS, "good.dcm")
    (tmp_path / "bad.dcm").write_bytes(b"garbage")
    (tmp_path / "empty.dcm").touch()
    data = Dicom.open(tmp_path, DicomConfig())
    reasons = {}
    for i in range(3):
        try:
            data[i]
        except DataError as error:
            reasons[data.index.key(i)] = str(error)
    assert reasons == {
        "bad.dcm": "is no DICOM file: it does not start as one",
        "empty.dcm": "the file is empty",
    }


@pytest.mark.parametrize("length", [200, 400, 600, 900])
def test_cut_off(write_dicom, length: int) -> None:
    path = write_dicom(PIXELS)
    path.write_bytes(path.read_bytes()[:length])
    refuse(path, "is cut off|damaged header|has an image to use")


@pytest.mark.parametrize(
    "tags",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 2**31 - 1},
        {"Rows": 0},
        {"SamplesPerPixel": 2},
        {"BitsAllocated": 0},
    ],
)
def test_declares_what_is_not_there(write_dicom, tags: dict[str, int]) -> None:
    refuse(write_dicom(PIXELS, **tags), "is cut off: its pixels take|declares")


def test_many_frames_in_few_compressed_bytes(write_dicom, real_data: Path) -> None:
    path = write_dicom(PIXELS, NumberOfFrames=10**8)
    refuse(compress(path, b"\xff\xd8" * 50), "is cut off: its pixels take")


def test_a_compressed_stream_larger_than_declared(write_dicom) -> None:
    sof = b"\xff\xd8\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 65000, 65000) + b"\x01\x01\x11\x00"
    refuse(compress(write_dicom(PIXELS), sof), "another size than it declares")
    siz = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">4L", 60000, 60000, 0, 0) + b"\0" * 20
    refuse(
        compress(write_dicom(PIXELS, "b.dcm"), siz, JPEG2000Lossless),
        "another size than it declares",
    )


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk", "693_J2KI", "MR_small_jpeg_ls_lossless", "MR_small_RLE"]
)
def test_a_compressed_stream_that_is_cut_off(real_data: Path, tmp_path: Path, name: str) -> None:
    ds = pydicom.dcmread(real_data / "dicom" / f"{name}.dcm")
    coded = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([coded[: len(coded) // 3]])
    ds.save_as(tmp_path / "a.dcm")
    with pytest.raises(DataError, match="cut off"):
        read_frame(tmp_path / "a.dcm", 0)


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm", "SC_rgb_dcmtk_+eb+cr", "JPGExtended"])
def test_no_header_of_a_stream_ends_the_process(real_data: Path, tmp_path: Path, name: str) -> None:
    content = (real_data / "dicom" / f"{name}.dcm").read_bytes()
    start = content.index(b"\xff\xd8\xff", content.index(b"\xe0\x7f\x10\x00"))
    for at in range(start + 2, start + 40):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        (tmp_path / "a.dcm").write_bytes(damaged)
        with contextlib.suppress(DataError):
            read_frame(tmp_path / "a.dcm", 0)


def test_a_deflated_file_that_explodes(write_dicom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl_kit_medical.dicom_files._LARGEST", 2**20)
    path = write_dicom(PIXELS)
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(path)
    whole = path.read_bytes()
    start = 132 + 12 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    bomb = zlib.compressobj(wbits=-15)
    path.write_bytes(
        whole[:start] + b"".join(bomb.compress(bytes(2**17)) for _ in range(20)) + bomb.flush()
    )
    refuse(path, "inflates to an absurd length")


def test_a_form_that_nobody_decodes(write_dicom) -> None:
    path = compress(write_dicom(PIXELS), b"\0\0", "1.2.840.10008.1.2.4.102")
    refuse(path, "is stored as MPEG-4 AVC.* cannot decode")
    refuse(
        compress(write_dicom(PIXELS, "b.dcm"), b"\0\0", "1.3.6.1.4.1.5962.300.1"),
        "private form|damaged",
    )


def test_a_file_that_vanishes(write_dicom) -> None:
    path = write_dicom(PIXELS)
    data = Dicom.open(path, DicomConfig())
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        data.read(0)


@pytest.mark.parametrize(("stream", "size"), [
    (b"", None),
    (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc3\x00\x0b\x08\x00\x10\x00\x20\x01\x11\x00", (16, 32)),
    (b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x05\x00\x07\x01\x11\x00\x00", (5, 7)),
    (b"\xff\xd8\x00\x00\x00\x0b\x08\x00\x05\x00\x07\x01\x11\x00\x00", None),
])  # fmt: skip
def test_the_size_of_a_coded_image(stream: bytes, size: tuple[int, int] | None) -> None:
    assert coded_size(stream) == size


def nifti_with(path: Path, alter: Callable[[bytearray], None]) -> Path:
    content = bytearray(path.read_bytes())
    alter(content)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgz", ".mgh"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_garbage_for_a_volume(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(content)
    refuse(tmp_path, "None of the volumes", Nifti)


def test_a_volume_that_is_cut_off(write_nifti) -> None:
    path = write_nifti(np.ones((10, 10, 10), "int16"))
    path.write_bytes(path.read_bytes()[:1000])
    refuse(path, "is cut off: its voxels take 2000 bytes, the file has 1000", Nifti)


def test_a_deflated_volume_that_is_cut_off(write_nifti) -> None:
    noise = np.random.default_rng(0).integers(0, 1000, (30, 30, 30)).astype("int16")
    path = write_nifti(noise, "a.nii.gz")
    path.write_bytes(path.read_bytes()[:9000])
    data = Nifti.open(path, NiftiConfig(window=(500, 1000)))
    with pytest.raises(DataError, match="is damaged or cut off"):
        data[len(data) - 1]


def test_a_volume_that_declares_the_world(write_nifti) -> None:
    def huge(content: bytearray) -> None:
        content[42:48] = struct.pack("<3h", 32767, 32767, 32767)

    refuse(nifti_with(write_nifti(np.ones((4, 4, 4), "int16")), huge), "is cut off", Nifti)
    packed = write_nifti(np.ones((4, 4, 4), "int16"), "b.nii")
    nifti_with(packed, huge)
    (packed.parent / "c.nii.gz").write_bytes(gzip.compress(packed.read_bytes()))
    refuse(packed.parent / "c.nii.gz", "is cut off", Nifti)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((4, 4, 4, 2, 3), "int16"),
        ((4,), "int16"),
    ],
)
def test_what_is_no_volume_of_numbers(write_nifti, shape: tuple[int, ...], dtype: object) -> None:
    path = write_nifti(np.zeros(shape, dtype))  # type: ignore[call-overload]
    refuse(path, "no volume", Nifti)


def test_a_senseless_affine_is_ignored(write_nifti) -> None:
    def zero(content: bytearray) -> None:
        content[252:256] = struct.pack("<2h", 0, 1)  # the affine is given by rows
        content[280:328] = bytes(48)

    path = nifti_with(write_nifti(np.arange(60).reshape(3, 4, 5).astype("int16")), zero)
    assert len(Nifti.open(path, NiftiConfig())) == 5
