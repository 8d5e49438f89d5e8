"""Finds out what the real numbers of radar files are: amplitudes, intensities or decibels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

Floats = NDArray[np.float64]
UNITS = {"amplitude": "amplitudes", "intensity": "intensities", "db": "decibels"}
_DECIBELS = 100.0  # farther from 0 than any backscatter in decibels
_HIGHEST_DB = 300.0  # no sum of echoes is above it, not even of uncalibrated numbers
_HIGHEST = 1e15  # the same in amplitudes or intensities
_REMNANT = -0.5  # noise removal leaves calibrated intensities that are not farther below 0
_FLAT = 1.5  # range in decibels that speckle always exceeds
_SHARE = 0.005  # of the pixels, that a fill value has at least
_APART = 30.0  # dB between files that cannot have the same unit
_GAP = 30.0  # between a low fill value and all others at least: decibels reach so far at most
_HIGH_FILLS = (9999.0, 32767.0, 65535.0, 99999.0)
_BACKSCATTER = r"(sigma|gamma|beta)[_ -]?(0|o|zero|n[ao]ught|nul+)"
_RTC = r"rtc\d+_[a-z]_[gs]{}[a-z]+"  # products of ASF: RTC30_G_gpuned is gamma nought, power
_IN_FILES = (
    ("db", rf"dbs?|decibels?|{_RTC.format('d')}"),
    ("amplitude", rf"amplitudes?|{_RTC.format('a')}"),
    ("intensity", rf"intensity|intensities|{_BACKSCATTER}|{_RTC.format('p')}"),
)
_IN_BANDS = (*_IN_FILES, ("amplitude", "ampl?|magnitudes?|mag"), ("intensity", "power|linear"))


@dataclass(frozen=True)
class Reading:
    """What the numbers are, and why.

    Attributes:
        unit: amplitude, intensity or db.
        reason: A clause that begins with "because"; "" if the options say it.
    """

    unit: str
    reason: str


def unit_in(bands: Sequence[str], files: Sequence[str] = ()) -> tuple[str, str]:
    """Returns the unit that a name tells, amplitude, intensity or db, and the name; else "", "".

    Args:
        bands: Names and units of bands.
        files: Names of files, which may hold words of other meanings, such as power.
    """
    for names, words in ((bands, _IN_BANDS), (files, _IN_FILES)):
        for unit, pattern in words:
            for name in names:
                if re.search(rf"(?<![a-z])({pattern})(?![a-z])", name, re.IGNORECASE):
                    return unit, name
    return "", ""


def judge(
    values: Floats, dtype: str, bands: Sequence[str] = (), files: Sequence[str] = ()
) -> Reading:
    """Decides what numbers are by their signs, the names of their bands and their type.

    Args:
        values: (n,) numbers, of which zeros and those that are not finite do not count.
        dtype: Number type of the files.
        bands: Names and units of bands, which may tell the unit.
        files: Names of files, which may tell it too.

    Raises:
        DataError: If the numbers fit no unit, or not the one that the names tell.
    """
    values = values[np.isfinite(values) & (values != 0)]
    named, shown = unit_in(bands, files)
    if not len(values):
        return Reading(named or "amplitude", "because the pixels looked at are all without data")
    below = float((values < 0).mean())
    low, high = (float(end) for end in np.percentile(values, [0.1, 99.9]))
    if below and (low < -_DECIBELS or high > _DECIBELS):
        return _far_from_zero(below, low, high)
    if low >= _REMNANT:
        return _linear(values, below, dtype, named, shown)
    if _are_parts(values) and named != "db":
        raise DataError(
            "holds about as many negative as positive numbers, as real and imaginary parts do. "
            "Store them as complex numbers, or set data.options.stored=db if they are decibels"
        )
    if named == "db":
        return Reading("db", f"because of the name '{shown}'")
    although = f", although the name '{shown}' tells {UNITS[named]}" if named else ""
    return Reading("db", f"because {below:.0%} of them are negative{although}")


def _linear(values: Floats, below: float, dtype: str, named: str, shown: str) -> Reading:
    """Returns the reading of linear values, or of decibels without a negative number."""
    reason = not_decibels(values) if named == "db" else ""
    if reason:
        raise DataError(
            f"{reason}, although the name '{shown}' tells decibels. Set data.options.stored to "
            "amplitude, intensity or db"
        )
    few = f", and the {below:.1%} below 0 count as 0" if below else ""
    if named:
        return Reading(named, f"because of the name '{shown}'{few}")
    if below > 0.01:
        reason = f"because {below:.0%} are slightly negative, as noise removal leaves them"
        return Reading("intensity", reason)
    return Reading("amplitude", f"because they are {dtype} and not negative{few}")


def _far_from_zero(below: float, low: float, high: float) -> Reading:
    """Returns the reading of uncalibrated intensities after noise removal."""
    if below < 0.5 and high > 3 * abs(low):
        return Reading(
            "intensity", f"because {below:.1%} are negative, as noise removal leaves them"
        )
    raise DataError(
        f"holds numbers from {low:.6g} to {high:.6g}: amplitudes are not negative, and decibels "
        "are nearer to 0. If they are hundredths of decibels, set data.options.stored=db and "
        "data.options.scale=0.01; if a number means no data, set data.options.nodata"
    )


def _are_parts(values: Floats) -> bool:
    """Tells whether values lie symmetrically about 0."""
    low, high = np.percentile(values, [1, 99])
    centered = abs(values.mean()) < 0.05 * values.std()
    return bool(centered and abs(low + high) < 0.15 * (high - low))


def not_decibels(values: NDArray[np.floating]) -> str:
    """Returns why values cannot be decibels, "" if they can."""
    values = values[np.isfinite(values)]
    if len(values) and values.max() > _HIGHEST_DB:
        return f"holds numbers up to {values.max():.6g}, which are no decibels"
    if not len(values) or (values < 0).any():
        return ""
    low, high = np.percentile(values, [1, 99])
    if high > _DECIBELS:
        return f"holds numbers up to {high:.6g}, which are no decibels"
    if high <= _FLAT and low < high:
        return f"holds numbers from {low:.3g} to {high:.3g}, which are no decibels"
    return ""


def not_linear(values: NDArray[np.floating], unit: str) -> str:
    """Returns why values cannot be amplitudes or intensities, "" if they can."""
    values = values[np.isfinite(values) & (values != 0)]
    if len(values) and values.max() > _HIGHEST:
        return f"holds numbers up to {values.max():.6g}, which are no {UNITS[unit]}"
    below = float((values < 0).mean()) if len(values) else 0.0
    if below <= 0.01 or (unit == "intensity" and (values.mean() > 0 or values.min() > _REMNANT)):
        return ""
    return (
        f"holds {below:.0%} negative numbers, which {UNITS[unit]} are not; "
        "data.options.stored=db takes them for decibels"
    )


def find_fills(stored: Floats) -> tuple[float, ...]:
    """Returns numbers that look like missing data which the file does not declare.

    Args:
        stored: (n, P) numbers, NaN where missing data are declared.
    """
    fills: list[float] = []
    for column in stored.T:
        values = column[np.isfinite(column)]
        for _ in range(3):
            fill = _fill_of(values)
            if fill is None:
                break
            fills.append(fill)
            values = values[values != fill]
    return tuple(sorted(set(fills)))


def _fill_of(values: Floats) -> float | None:
    """Returns a frequent number that is no measurement, None if there is none.

    A low one is negative and far from all others, or the only negative number. A high one is among
    the usual numbers, because saturated pixels are bright scatterers.
    """
    nonzero = values[values != 0]
    if len(nonzero) < 2:
        return None
    low, high = float(nonzero.min()), float(nonzero.max())
    if low < 0 and _frequent(values, low):
        others = nonzero[nonzero != low]
        if _gap(low, others) > _GAP or (len(others) and others.min() > 0):
            return low
    usual = high in _HIGH_FILLS or high > _HIGHEST
    if usual and _frequent(values, high) and _gap(high, nonzero[nonzero != high]) > 0:
        return high
    return None


def _frequent(values: Floats, fill: float) -> bool:
    return bool((values == fill).mean() >= _SHARE)


def _gap(fill: float, others: Floats) -> float:
    """Returns the distance to the nearest other number, 0 if it is below half of their range."""
    if not len(others):
        return 0.0
    low, high = np.percentile(others, [0.1, 99.9])
    gap = float(np.abs(others - fill).min())
    return gap if gap > 0.5 * (high - low) else 0.0


def zero_is_fill(stored: Floats) -> bool:
    """Tells whether 0 in all bands means no data in decibels: it is frequent, its neighbors rare.

    Args:
        stored: (n, P) numbers.
    """
    zero = (stored == 0).all(1)
    near = (np.abs(stored) <= max(0.5, 0.01 * float(np.nanstd(stored)))).all(1) & ~zero
    return bool(zero.mean() >= _SHARE and zero.sum() > near.sum())


def misfits(values: Mapping[int, Floats], dtypes: Mapping[int, str], unit: str) -> dict[int, str]:
    """Returns the reasons why some files do not have the unit of the others.

    Args:
        values: (n, P) values of files that were looked at.
        dtypes: Number types of these files.
        unit: That of most files.
    """
    faults = {}
    medians = {file: _median(each) for file, each in values.items()}
    usual = Counter("int" in dtypes[file] for file in values).most_common(1)[0][0]
    typical = [m for file, m in medians.items() if ("int" in dtypes[file]) == usual and m > 0]
    for file, each in values.items():
        reason = not_decibels(each[each != 0]) if unit == "db" else not_linear(each, unit)
        other_type = ("int" in dtypes[file]) != usual and typical and medians[file] > 0
        if not reason and unit != "db" and other_type:
            factor = 20 if unit == "amplitude" else 10
            apart = factor * float(np.log10(medians[file] / np.median(typical)))
            if abs(apart) > _APART:
                reason = f"holds {dtypes[file]} and differs from most files by {apart:.0f} dB"
        if reason:
            faults[file] = reason
    return faults


def _median(values: Floats) -> float:
    values = values[np.isfinite(values) & (values != 0)]
    return float(np.median(values)) if len(values) else 0.0
