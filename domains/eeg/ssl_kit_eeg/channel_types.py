"""Types of channels, from their names and units, for formats that do not declare them.

EDF recommends names such as "EEG Fpz-Cz", "EOG left", "Temp rectal" and "SaO2 finger"
(https://www.edfplus.info/specs/edftexts.html); laboratories have many more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from .electrodes import bare, electrode

Type = Literal["eeg", "other", "unknown"]
# what begins with one of these is no EEG
_BEGINNINGS = (
    "eog", "emg", "ecg", "ekg", "meg", "mcg", "resp", "temp(?!or)", "rectal", "sao", "spo", "etco",
    "tcco", "co2", "oxi", "oxy", "satur", "pulse", "pleth", "ppg", "bvp", "heart", "cardi", "event",
    "mark", "status", "trig", "stim", "sync", "ttl", "count", "photic", "burst", "suppr",
    "annot", "airflow", "flow", "nasal", "oral", "oro", "snor", "cannula", "therm(?!al)", "thor", "chest",
    "abdo", "effort", "cpap", "leak", "press", "chin", "ment", "submen", "masset", "tibial", "leg",
    "lleg", "rleg", "delt", "limb", "posit", "light", "body", "batt", "volt", "gsr", "eda", "scl",
    "acc", "gyro", "magn", "aux", "mic", "audio", "sound", "eye", "gaze", "pupil", "horiz",
    "veog", "heog", "vert", "belt", "blood", "time", "sample", "index", "label", "class", "target",
    "quality", "imped", "digital", "interpol",
)  # fmt: off
# what equals one of these, apart from a number
_WORDS = (
    "abd", "abp", "ann", "art", "bp", "bpm", "cvp", "dc", "dig", "et", "hr", "ibi", "icp", "lat",
    "loc", "mk", "mrk", "osat", "ox", "pap", "pos", "pr", "rat", "rip", "roc", "rr", "sat", "sum",
    "tib", "tho", "trg", "evt", "seconds", "stat", "y",
)  # fmt: off
_OTHER = re.compile(
    rf"(?<![a-z])(?:{'|'.join(_BEGINNINGS)})|(?<![a-z])(?:{'|'.join(_WORDS)})(?![a-z])", re.I
)
_DECLARED = re.compile(r"^(?:eeg|seeg|ecog|ieeg|dbs)(?![a-z])", re.I)
_NUMBERED = re.compile(r"^(?:ch(?:an(?:nel)?)?[ _-]?)?[a-z]{0,4}'?[ _-]?\d{1,3}$", re.I)
_EYES = {"e1", "e2"}  # of a sleep laboratory, unless the net has an E3
_VOLTS = {"uv": 1.0, "microv": 1.0, "mv": 1e3, "nv": 1e-3, "v": 1e6, "volt": 1e6}


def microvolts_of(unit: str) -> float | None:
    """Returns the microvolts of a unit, None if it is no voltage."""
    plain = unit.strip().lower().removeprefix("\N{LATIN SMALL LETTER A WITH CIRCUMFLEX}")
    for micro in ("\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}", "\x83\N{LATIN SMALL LETTER E WITH CIRCUMFLEX}"):
        plain = plain.replace(micro, "u")
    plain = plain.replace("volts", "volt").replace("microvolt", "microv")
    return _VOLTS.get(plain)


def types_of(labels: Sequence[str], units: Sequence[str] | None = None) -> list[Type]:
    """Tells which channels of a file are EEG.

    Names of electrodes, of pairs of them, names that begin with EEG, and numbered names such as
    A12 are EEG; "unknown" are names that say nothing.

    Args:
        labels: Names as the file spells them.
        units: Units, "" where the file gives none.
    """
    net = any(bare(label).lower() == "e3" for label in labels)
    given = units or [""] * len(labels)
    return [_type_of(label, unit, net) for label, unit in zip(labels, given, strict=True)]


def _type_of(label: str, unit: str, net: bool) -> Type:
    name = bare(label)
    if electrode(label):
        return "eeg"
    if _OTHER.search(name) or (not net and re.split(r"[-:/ ]", name.lower())[0] in _EYES):
        return "other"
    if _DECLARED.match(label.strip()):
        return "eeg"
    if unit.strip() and microvolts_of(unit) is None:
        return "other"
    return "eeg" if _NUMBERED.match(name) else "unknown"
