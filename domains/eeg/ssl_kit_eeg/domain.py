"""The domain: its readers, policies, pairings, objectives and corruptions."""

from __future__ import annotations

from ssl_kit import Domain
from ssl_kit.data import next_in_recording, same_recording

from .corruptions import CORRUPTIONS
from .policies import default, upright, weak, whole

EEG = Domain(
    name="eeg",
    summary="EEG and wearable biosignals, as signals or as pictures.",
    datasets=("empatica", "recordings", "image_folder", "arrays", "matlab"),
    demo="eeg_demo",
    policies={"default": default, "weak": weak, "upright": upright, "eval": whole},
    pairings={"recording": same_recording, "neighbor": next_in_recording},
    objectives=(
        "transform_recognition",
        "relative_positioning",
        "temporal_shuffling",
        "forecasting",
    ),
    corruptions=CORRUPTIONS,
)
