"""The domain: its readers, policies, pairings, objectives and corruptions."""

from __future__ import annotations

from ssl_kit import Domain

from .corruptions import CORRUPTIONS
from .policies import dca, default, upright, weak, whole

SAR = Domain(
    name="sar",
    summary="Radar images: target chips and scenes, complex or detected.",
    datasets=("sar_raster", "mstar_phoenix", "image_folder", "arrays", "matlab"),
    demo="sar_demo",
    policies={
        "default": default,
        "weak": weak,
        "upright": upright,
        "dca": dca,
        "eval": whole,
    },
    objectives=("dca", "despeckle", "azimuth"),
    corruptions=CORRUPTIONS,
)
