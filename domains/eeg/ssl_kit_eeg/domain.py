"""The domain, put together."""

from __future__ import annotations

from ssl_kit import Corruption, Domain

from .pairings import neighbour, recording
from .policies import default, noisy, upright, weak, whole

EEG = Domain(
    name="eeg",
    summary="EEG and wearable biosignals, as signals or as pictures.",
    datasets=("empatica", "recordings", "image_folder", "arrays"),
    demo="eeg_demo",
    policies={"default": default, "weak": weak, "upright": upright, "eval": whole},
    pairings={"recording": recording, "neighbour": neighbour},
    objectives=(
        "transform_recognition",
        "relative_positioning",
        "temporal_shuffling",
        "forecasting",
    ),
    corruptions={"noise": Corruption(noisy, strengths=(20, 10, 5, 0), unit="dB")},
)
