"""Electrodes: their names in the 10-05 system and their positions on the head."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import mne
import numpy as np
from numpy.typing import NDArray

Places = Mapping[str, NDArray[np.float64]]
_BEFORE = re.compile(r"^(?:eeg|seeg|pol)[ _-]+", re.I)
_BEHIND = re.compile(r"[ _-]+(?:ref|le|ar|avg|a1|a2|m1|m2)$|\.+$", re.I)
_OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}  # 10-20 of 1958 and of today


@lru_cache(maxsize=1)
def standard() -> dict[str, NDArray[np.float64]]:
    """Returns positions of the 10-05 system by electrode, (3,) in meters: right, front, up."""
    montage = mne.channels.make_standard_montage("colin27_1005")
    return {name: np.asarray(at) for name, at in montage.get_positions()["ch_pos"].items()}


@lru_cache(maxsize=1)
def _spelling() -> dict[str, str]:
    return {name.lower(): name for name in standard()}


def bare(name: str) -> str:
    """Returns a name without "EEG" before it and without the common reference behind it."""
    name = " ".join(name.split())
    for pattern in (_BEFORE, _BEHIND):
        while pattern.search(name) and pattern.sub("", name):
            name = pattern.sub("", name)
    return name


def electrode(name: str) -> str:
    """Spells an electrode or a pair of them, such as Fp1-F7; "" if the name is none."""
    spelled = _spelling().get(bare(name).lower(), "")
    if spelled:
        return spelled
    ends = [_spelling().get(end.strip().lower(), "") for end in _unprefixed(name).split("-")]
    return "-".join(ends) if len(ends) == 2 and all(ends) else ""


def _unprefixed(name: str) -> str:
    """Returns a name without "EEG" before it and without a third part, as in T3-C3-REF."""
    short = _BEFORE.sub("", " ".join(name.split())).rstrip(".")
    return bare(short) if short.count("-") > 1 else short


def canonical(names: Sequence[str]) -> list[str]:
    """Spells electrodes as the 10-05 system does: "EEG FP1-REF" becomes Fp1, T3 becomes T7.

    Pairs are spelled in the same way. Other names stay the same. Names are unique regardless of
    capitals: the second T7 of a file becomes T7-1.
    """
    spelled = [electrode(name) or " ".join(name.split()) for name in names]
    modern = ["-".join(_OLD.get(end, end) for end in name.split("-")) for name in spelled]
    out, used = list[str](), set[str]()
    for old, new in zip(spelled, modern, strict=True):
        name = old if old != new and new in spelled else new  # a file with both T3 and T7
        count, unique = 0, name
        while unique.lower() in used:
            count += 1
            unique = f"{name}-{count}"
        used.add(unique.lower())
        out.append(unique)
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
