"""The domain: its readers, policies, pairings and corruptions."""

from __future__ import annotations

from ssl_kit import Domain
from ssl_kit.data import next_in_recording, same_recording

from .corruptions import CORRUPTIONS
from .policies import default, upright, weak, whole

AUDIO = Domain(
    name="audio",
    summary="Speech, music and other sounds, as log-mel pictures or as waveforms.",
    datasets=("audio_files", "image_folder", "arrays"),
    demo="audio_demo",
    policies={"default": default, "weak": weak, "upright": upright, "eval": whole},
    pairings={"recording": same_recording, "neighbor": next_in_recording},
    objectives=("hubert",),
    corruptions=CORRUPTIONS,
)
