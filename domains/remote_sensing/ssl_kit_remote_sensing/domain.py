"""The domain: its readers, policies, pairings, objectives and corruptions."""

from __future__ import annotations

from ssl_kit import Domain

from .bands import SPELLINGS
from .corruptions import CORRUPTIONS
from .pairings import neighbor, neighbors, seasons
from .policies import default, upright, weak

REMOTE_SENSING = Domain(
    name="remote_sensing",
    summary="Scenes from above: JPEG, PNG and GeoTIFF of any bands.",
    datasets=("geotiff", "image_folder", "arrays", "matlab"),
    demo="remote_sensing_demo",
    policies={"default": default, "weak": weak, "upright": upright},
    defaults={"objective": {"name": "descriptors"}},  # README.md says why
    pretrained_defaults={"objective": {"name": "simclr"}, "encoder": {"image_size": 96}},
    pairings={"neighbor": neighbor, "neighbors": neighbors, "seasons": seasons},
    corruptions=CORRUPTIONS,
    channel_names=SPELLINGS,
)
