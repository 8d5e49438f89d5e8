from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

torch.set_num_threads(1)

_HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", _HERE.parents[4] / "shared" / "data"))
_CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"the test data are not at {DATA}; SSL_KIT_TEST_DATA says where they are")
    return DATA


WriteDicom = Callable[..., Path]


@pytest.fixture
def write_dicom(tmp_path: Path) -> WriteDicom:
    """Writes (H, W), (n, H, W) or (H, W, 3) as a DICOM file below tmp_path, CT if not told."""

    def write(pixels: np.ndarray, name: str = "a.dcm", **tags: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coloured = pixels.ndim == 3 and pixels.shape[2] == 3
        shape = pixels.shape[:2] if coloured else pixels.shape[-2:]
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = _CT
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.{abs(hash(name))}"
        ds.Modality, ds.PatientID, ds.PatientName = "CT", "SECRET-17", "SECRET^NAME"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        ds.Rows, ds.Columns = shape
        ds.SamplesPerPixel = 3 if coloured else 1
        ds.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
        if coloured:
            ds.PlanarConfiguration = 0
        if pixels.ndim == 3 and not coloured:
            ds.NumberOfFrames = len(pixels)
        ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
        ds.HighBit = ds.BitsStored - 1
        ds.PixelRepresentation = int(pixels.dtype.kind == "i")
        for tag, value in tags.items():
            setattr(ds, tag, value)
        ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        ds.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_series(write_dicom: WriteDicom, tmp_path: Path) -> Callable[..., Path]:
    """Writes slices (n, H, W) as a series, the highest slice first."""

    def write(
        volume: np.ndarray, folder: str = "series", uid: str = "1.2.3.4", **tags: Any
    ) -> Path:
        for z, pixels in enumerate(volume):
            write_dicom(
                pixels,
                f"{folder}/{len(volume) - z:03d}.dcm",
                SeriesInstanceUID=uid,
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[0, 0, 2.5 * z],
                InstanceNumber=z + 1,
                **tags,
            )
        return tmp_path / folder

    return write


WriteNifti = Callable[..., Path]


@pytest.fixture
def write_nifti(tmp_path: Path) -> WriteNifti:
    """Writes an array as a volume below tmp_path."""

    def write(values: np.ndarray, name: str = "a.nii", affine: Any = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
        return path

    return write
