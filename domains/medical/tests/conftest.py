from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_kit_medical import dicom_writing, nifti_files

torch.set_num_threads(1)

_HERE = Path(__file__).resolve()
DATA = Path(os.environ.get("SSL_KIT_TEST_DATA", _HERE.parents[4] / "shared" / "data"))


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
        patient = {"PatientID": "SECRET-17", "PatientName": "SECRET^NAME"}
        dicom_writing.write_dicom(path, pixels, **{**patient, **tags})
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
        nifti_files.write_nifti(path, values, affine)
        return path

    return write
