"""Electrodes: their names in the 10-05 system, and where they are on the head."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import mne
import numpy as np
from numpy.typing import NDArray

Places = Mapping[str, NDArray[np.float64]]
_AROUND = re.compile(r"^(?:eeg|seeg)[ _-]+|[ _-]+(?:ref|le|ar|avg|a1|a2|m1|m2)$|\.+$", re.I)


@lru_cache(maxsize=1)
def standard() -> dict[str, NDArray[np.float64]]:
    """Returns where the electrodes of the 10-05 system are, (3,) in meters: right, front, up."""
    montage = mne.channels.make_standard_montage("colin27_1005")
    return {name: np.asarray(at) for name, at in montage.get_positions()["ch_pos"].items()}


@lru_cache(maxsize=1)
def _spelling() -> dict[str, str]:
    return {name.lower(): name for name in standard()}


def canonical(names: Sequence[str]) -> list[str]:
    """Spells names of electrodes as the 10-05 system does: "EEG FP1-REF" is Fp1.

    Others keep their names, and so does a second one of the same electrode.
    """
    spelling, out = _spelling(), list[str]()
    for name in names:
        bare = name.strip()
        while _AROUND.search(bare) and _AROUND.sub("", bare):
            bare = _AROUND.sub("", bare)
        found = spelling.get(bare.lower(), name.strip())
        out.append(found if found not in out else name.strip())
    return out


def flat(names: Sequence[str], known: Places) -> tuple[list[int], NDArray[np.float64]]:
    """Lays electrodes out as seen from above, distances from the top kept.

    Args:
        names: Of electrodes.
        known: Where the file says that they are; 10-05 says it for others.

    Returns:
        Positions in `names` of those that are known, and where they are, (n, 2): right and front,
        1 is the equator of the head.
    """
    where = {**standard(), **known}
    chosen = [i for i, name in enumerate(names) if name in where and np.isfinite(where[name]).all()]
    xyz = np.array([where[names[i]] for i in chosen]).reshape(-1, 3)
    length = np.maximum(np.linalg.norm(xyz, axis=1), 1e-9)
    polar = np.arccos(np.clip(xyz[:, 2] / length, -1, 1)) / (np.pi / 2)
    round_ = np.arctan2(xyz[:, 1], xyz[:, 0])
    return chosen, np.column_stack([polar * np.cos(round_), polar * np.sin(round_)])
