"""Options that suit one modality only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_kit_medical.dicom import Dicom, DicomConfig
from ssl_kit_medical.nifti import Nifti, NiftiConfig

Write = Callable[..., Path]


def body(low: float, high: float, *shape: int) -> np.ndarray:
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape).astype(np.int16)


@pytest.mark.parametrize(
    ("low", "high", "warned"), [(0, 1000, True), (-1000, 20000, True), (-1000, 1500, False)]
)
def test_a_named_window_for_volumes_that_are_no_ct_is_a_warning(
    write_nifti: Write, low: float, high: float, warned: bool
) -> None:
    path = write_nifti(body(low, high, 8, 8, 4))
    (*warnings,) = Nifti.open(path, NiftiConfig(window="brain")).warnings()
    assert bool(warnings) == warned
    assert all("the window 'brain' is in Hounsfield units" in text for text in warnings)


@pytest.mark.parametrize(("modality", "warned"), [("MR", True), ("CT", False)])
def test_the_header_tells_the_modality(write_dicom: Write, modality: str, warned: bool) -> None:
    path = write_dicom(body(0, 1000, 8, 8), Modality=modality)
    (*warnings,) = Dicom.open(path, DicomConfig(window="lung")).warnings()
    assert bool(warnings) == warned
    assert all("1 of 1 file is not CT" in text for text in warnings)


@pytest.mark.parametrize("window", ["auto", "volume", (500, 1000)])
def test_other_windows_are_not_for_ct(write_nifti: Write, window: object) -> None:
    data = Nifti.open(write_nifti(body(0, 1000, 8, 8, 4)), NiftiConfig(window=window))
    assert [*data.warnings()] == []


def test_neighbors_of_single_slices_are_a_warning(write_dicom: Write) -> None:
    data = Dicom.open(write_dicom(body(0, 1000, 8, 8)), DicomConfig(slices=3))
    (warning,) = data.warnings()
    assert "1 of 1 volume has a single slice" in warning
