"""The domain: its readers, policies, pairings and corruptions."""

from __future__ import annotations

from ssl_kit import Domain

from .corruptions import CORRUPTIONS
from .pairings import neighbor, recording
from .policies import default, upright, weak, whole

AUDIO = Domain(
    name="audio",
    summary="Speech, music and other sounds, as log-mel pictures or as waveforms.",
    datasets=("audio_files", "image_folder", "arrays"),
    demo="audio_demo",
    policies={"default": default, "weak": weak, "upright": upright, "eval": whole},
    pairings={"recording": recording, "neighbor": neighbor},
    objectives=("hubert",),
    corruptions=CORRUPTIONS,
)
