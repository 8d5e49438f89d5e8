"""The kind of an image of this domain, which the names of its channels tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Kind = Literal["eeg", "wearable", "grid", "map", "picture"]
EEG = "uv"
UNITS = ("g", "us", "c", "bpm", "s", "au")  # of an Empatica E4; z where a session was standardized


def kind_of(channels: Sequence[str]) -> Kind:
    """Returns the kind of an image from the names of its channels.

    "eeg": all end in _uv, samples in microvolts about 0. "wearable": all end in the unit of another
    biosignal. "grid": electrodes x time. "map": all end in _map. "picture": everything else, time
    to the right and frequency up.
    """
    ends = {name.rpartition("_")[2] for name in channels}
    if ends == {EEG}:
        return "eeg"
    if ends <= set(UNITS) and all("_" in name for name in channels):
        return "wearable"
    if tuple(channels) == ("grid",):
        return "grid"
    return "map" if ends == {"map"} else "picture"
