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
    "eog|[lr]eog|veog|heog|vert|horiz|eye|gaze|pupil|emg|chin|ment|submen|masset|tibial|leg|lleg|rleg|delt|"
    "limb|ecg|ekg|heart|cardi|pulse|pleth|ppg|bvp|blood|meg|mcg|resp|airflow|flow|nasal|oral|oro|"
    "snor|cannula|therm(?!al)|thor|chest|abdo|belt|effort|cpap|leak|press|temp(?!or)|rectal|sao|"
    "spo|etco|tcco|co2|oxi|oxy|satur|gsr|eda|scl|acc|gyro|magn|posit|body|light|batt|volt|aux|mic|"
    "audio|sound|event|mark|status|trig|stim|sync|ttl|count|photic|burst|suppr|annot|time|sample|"
    "index|label|class|target|quality|imped|digital|interpol"
)
# what equals one of these, apart from a number
_WORDS = (
    r"(?:ana|erg|exg)\d+|cms|drl|gnd|plet|ref|"
    r"abd|abp|ann|art|bp|bpm|cvp|dc|dig|et|evt|h\.?r|ibi|icp|lat|loc|mk|mrk|osat|ox|pap|pos|pr|rat|"
    "rip|roc|rr|sat|seconds|stat|sti|sum|tho|tib|trg|y"
)
_OTHER = re.compile(rf"(?<![a-z])(?:(?:{_BEGINNINGS})|(?:{_WORDS})(?![a-z]))", re.I)
_DECLARED = re.compile(r"^(?:eeg|seeg|ecog|ieeg|dbs)(?![a-z])", re.I)
_NUMBERED = re.compile(r"^(?:ch(?:an(?:nel)?)?[ _-]?)?[a-z]{0,4}'?[ _-]?\d{1,3}$", re.I)
_EYES = {"e1", "e2"}  # of a sleep laboratory, unless the net has an E3
_MICRO = (  # the last is a Greek mu in Shift JIS, as Nihon Kohden writes it
    "\N{MICRO SIGN}",
    "\N{GREEK SMALL LETTER MU}",
    "\x83\N{LATIN SMALL LETTER E WITH CIRCUMFLEX}",
)
_VOLTS = {"uv": 1.0, "mv": 1e3, "nv": 1e-3, "v": 1e6, "volt": 1e6, "volts": 1e6}


def microvolts_of(unit: str) -> float | None:
    """Returns how many microvolts a unit is, None if it is no voltage."""
    plain = unit.strip().lower().removeprefix("\N{LATIN SMALL LETTER A WITH CIRCUMFLEX}")
    for micro in _MICRO:
        plain = plain.replace(micro, "u")
    plain = re.sub(r"(?<=[a-z])volts?$", "v", plain.replace("microvolt", "uvolt"))
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
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # RightAUX
    if electrode(label):
        return "eeg"
    if (
        _OTHER.search(name)
        or _OTHER.search(apart)
        or (not net and re.split(r"[-:/ ]", name.lower())[0] in _EYES)
    ):
        return "other"
    if _DECLARED.match(label.strip()):
        return "eeg"
    if unit.strip() and microvolts_of(unit) is None:
        return "other"
    return "eeg" if _NUMBERED.match(name) else "unknown"
