"""The domain: its readers, policies, pairings, objectives and corruptions."""

from __future__ import annotations

from ssl_kit import Domain

from .corruptions import CORRUPTIONS
from .pairings import neighbor, study, volume
from .policies import default, upright, weak

MEDICAL = Domain(
    name="medical",
    summary="DICOM, NIfTI, radiographs and microscopy.",
    datasets=("dicom", "nifti", "image_folder", "arrays", "matlab"),
    demo="medical_demo",
    policies={"default": default, "weak": weak, "upright": upright},
    pairings={"study": study, "volume": volume, "neighbor": neighbor},
    objectives=("models_genesis", "slice_order"),
    corruptions=CORRUPTIONS,
)
