"""Nothing that identifies a patient leaves the reader, but hashed."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from ssl_kit import DataError
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start
from ssl_kit_medical.dicom import Dicom, DicomConfig

PIXELS = np.arange(600).reshape(20, 30).astype("int16")


def test_no_key_or_group_shows_an_identifier(write_dicom) -> None:
    data = Dicom.open(write_dicom(PIXELS), DicomConfig())
    sample = data[0]
    everything = (
        f"{data.index} {data.index.group_names} {sample.key} {sample.group} {data.channels}"
    )
    assert "SECRET" not in everything
    assert len(sample.group) == 16


@pytest.mark.parametrize(
    "tag",
    [
        "RescaleSlope",
        "Rows",
        "InstanceNumber",
        "ImagePositionPatient",
        "BitsStored",
        "Modality",
        "StudyInstanceUID",
    ],
)
def test_no_message_quotes_a_value(write_dicom, tag: str, caplog: Any, capsys: Any) -> None:
    path = write_dicom(PIXELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = pydicom.config.settings.writing_validation_mode
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
        ds = pydicom.dcmread(path)
        ds[tag] = pydicom.DataElement(tag, "LO", "SECRET^NAME")
        ds.save_as(path)
        pydicom.config.settings.writing_validation_mode = old
    caplog.set_level(logging.DEBUG)
    message = ""
    try:
        Dicom.open(path, DicomConfig())[0]
    except DataError as error:
        message = f"{error} {error.__cause__}"
    seen = capsys.readouterr()
    assert "SECRET" not in message + caplog.text + seen.out + seen.err


def test_no_file_of_a_run_names_a_patient(write_dicom, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = rng.integers(0, 1000, (32, 32)).astype("int16")
        write_dicom(
            pixels, f"data/{i}.dcm", PatientID=f"SECRET-{i % 5}", SeriesInstanceUID=f"1.2.{i}"
        )
    settings = {
        "domain": "medical",
        "data": {"path": str(tmp_path / "data")},
        "encoder": {"name": "test_resnet", "image_size": 32},
        "objective": {"name": "simclr", "hidden_dim": 16, "out_dim": 8},
        "train": {"epochs": 1, "batch_size": 4, "workers": 0, "precision": "fp32"},
    }
    start([settings], tmp_path / "run", Progress(quiet=True))
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert len(files) > 4
    assert not [file.name for file in files if b"SECRET" in file.read_bytes()]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert len(manifest["groups"]) == 5
