"""The domain: its readers, policies, pairings, objectives and corruptions."""

from __future__ import annotations

from ssl_kit import Domain

from .corruptions import CORRUPTIONS
from .pairings import neighbors
from .policies import default, macenko, reinhard, upright, weak

HISTOPATHOLOGY = Domain(
    name="histopathology",
    summary="Stained tissue: whole slides and folders of patches.",
    datasets=("slides", "patches", "arrays", "matlab"),
    demo="histopathology_demo",
    policies={
        "default": default,
        "weak": weak,
        "upright": upright,
        "macenko": macenko,
        "reinhard": reinhard,
    },
    # A slide that cannot be used counts as one image; a few slides have few tiles beside it.
    defaults={"data": {"max_skip": 0.1}},
    pairings={"neighbors": neighbors},
    objectives=("magnification", "cross_stain"),
    corruptions=CORRUPTIONS,
)
