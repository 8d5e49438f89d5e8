"""Electrodes: their names in the 10-05 system and their positions on the head."""

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
    """Returns positions of the 10-05 system by electrode, (3,) in meters: right, front, up."""
    montage = mne.channels.make_standard_montage("colin27_1005")
    return {name: np.asarray(at) for name, at in montage.get_positions()["ch_pos"].items()}


@lru_cache(maxsize=1)
def _spelling() -> dict[str, str]:
    return {name.lower(): name for name in standard()}


def canonical(names: Sequence[str]) -> list[str]:
    """Spells names of electrodes as the 10-05 system does: "EEG FP1-REF" becomes Fp1.

    Other names stay the same, and so does the second name of one electrode.
    """
    spelling, out = _spelling(), list[str]()
    for name in names:
        bare = name.strip()
        while _AROUND.search(bare) and _AROUND.sub("", bare):
            bare = _AROUND.sub("", bare)
        electrode = spelling.get(bare.lower(), name.strip())
        out.append(electrode if electrode not in out else name.strip())
    return out


def flat(names: Sequence[str], known: Places) -> tuple[list[int], NDArray[np.float64]]:
    """Projects electrodes to the plane as seen from above; distances from the vertex are kept.

    Args:
        names: Names of electrodes.
        known: Positions that the file gives; for others the 10-05 system gives them.

    Returns:
        Numbers of the electrodes whose position is known, and these positions, (n, 2): right and
        front, where 1 is the equator of the head.
    """
    where = {**standard(), **known}
    chosen = [i for i, name in enumerate(names) if name in where and np.isfinite(where[name]).all()]
    xyz = np.array([where[names[i]] for i in chosen]).reshape(-1, 3)
    length = np.maximum(np.linalg.norm(xyz, axis=1), 1e-9)
    polar = np.arccos(np.clip(xyz[:, 2] / length, -1, 1)) / (np.pi / 2)
    round_ = np.arctan2(xyz[:, 1], xyz[:, 0])
    return chosen, np.column_stack([polar * np.cos(round_), polar * np.sin(round_)])
