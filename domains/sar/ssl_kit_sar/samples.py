"""What the pixels of a few files tell about all: their unit, and undeclared missing data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .scenes import is_measurement
from .sources import Decoding, Source
from .stored import UNITS, Reading, find_fills, judge, misfits, zero_is_fill

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Pixels of one file.

    Attributes:
        stored: (n, P) numbers of the file, NaN where it declares no data.
        scaled: Function that makes values of such numbers.
        dtype: Number type of the file.
        bands: Names and units of the bands in the file.
        file: Name of the file.
    """

    stored: Floats
    scaled: Callable[[Floats], NDArray[np.floating]]
    dtype: str
    bands: tuple[str, ...]
    file: str

    def values(self, fills: tuple[float, ...]) -> Floats:
        """Returns the values (n, P), NaN where there is no data; 0 where the number is 0."""
        values = self.scaled(self.stored).astype(np.float64)
        values[np.isin(self.stored, [fill for fill in fills if fill])] = np.nan
        return values


@dataclass(frozen=True)
class Interpretation:
    """What the samples tell.

    Attributes:
        unit: amplitude, intensity or db.
        nodata: Numbers that mean no data.
        faults: Reasons why files cannot be used, by file.
        remarks: Sentences on what was assumed.
    """

    unit: str
    nodata: tuple[float, ...]
    faults: Mapping[int, str]
    remarks: tuple[str, ...]


def interpret(samples: Mapping[int, Sample], unit: str, nodata: float | None) -> Interpretation:
    """Decides on the unit of all files and on the numbers that mean no data.

    Args:
        samples: Pixels by file.
        unit: That of the options, auto to find it out.
        nodata: That of the options, None to find it out.

    Raises:
        DataError: If the numbers of most files fit no unit, or no unit prevails.
    """
    remarks: list[str] = []
    by_file = {file: find_fills(sample.stored) for file, sample in samples.items()}
    fills = (nodata,) if nodata is not None else tuple(sorted(set().union(*by_file.values())))
    values = {file: sample.values(fills) for file, sample in samples.items()}
    if unit == "auto":
        reading = _prevailing(samples, values)
        unit = reading.unit
        remarks.append(_remark_on(reading))
    if unit == "db" and nodata is None and 0.0 not in fills:
        zeros = [file for file, sample in samples.items() if zero_is_fill(sample.stored)]
        by_file.update({file: (*by_file[file], 0.0) for file in zeros})
        fills = (*fills, 0.0) if zeros else fills
    faults = misfits(values, {file: sample.dtype for file, sample in samples.items()}, unit)
    if fills and nodata is None:
        numbers = ", ".join(f"{fill:g}" for fill in fills)
        having = sum(bool(each) for each in by_file.values())
        remarks.append(
            f"{numbers} {'means' if len(fills) == 1 else 'mean'} no data, which {having} of "
            f"{len(samples)} files looked at do not declare; data.options.nodata names another "
            "number."
        )
    return Interpretation(unit, fills, faults, tuple(remarks))


def _remark_on(reading: Reading) -> str:
    unit, reason = reading.unit, reading.reason
    taken = f"The pixel values are taken for {UNITS[unit]} (data.options.stored={unit}) {reason}"
    if unit == "db" and "negative" in reason:
        return f"{taken}."
    others = " or ".join(f"data.options.stored={other}" for other in UNITS if other != unit)
    return f"{taken}; {others} is the other reading."


def remarks_on(source: Source, decoding: Decoding, key: str) -> list[str]:
    """Returns what is done to the numbers of files because they, or their product, say so.

    Args:
        source: One of the files.
        decoding: How they are read.
        key: Path of the file.
    """
    remarks = []
    if source.left_out:
        remarks.append(
            f"Bands that are no backscatter by their names are left out: "
            f"{', '.join(source.left_out)}; data.options.polarizations with a name for every band "
            "includes them."
        )
    if source.has_alpha:
        remarks.append(
            "There is no data where the alpha band of the files is 0; data.options.polarizations "
            "with a name for every band takes it for a polarization."
        )
    if source.calibrated:
        noise = "is subtracted" if decoding.denoise else "is not subtracted (data.options.denoise)"
        unit = "complex amplitudes" if source.has_phase else "amplitudes"
        remarks.append(
            f"The pixel values are {unit}, calibrated by the {decoding.table} tables of the "
            f"Sentinel-1 products; their thermal noise {noise}. "
            "data.options.calibration_table=none reads the stored numbers."
        )
    elif is_measurement(key) and decoding.table:
        remarks.append(
            "The Sentinel-1 measurements are not calibrated, because no folder "
            "annotation/calibration lies beside their folder measurement."
        )
    scales, offsets = sorted(set(source.scales)), sorted(set(source.offsets))
    given = decoding.scale is not None or decoding.offset is not None
    if not given and (scales != [1.0] or offsets != [0.0]):
        factor, summand = (", ".join(f"{n:g}" for n in each) for each in (scales, offsets))
        remarks.append(
            f"The scale {factor} and the offset {summand} that the files declare are applied; "
            "data.options.scale and data.options.offset give others."
        )
    return remarks


def _prevailing(samples: Mapping[int, Sample], values: Mapping[int, Floats]) -> Reading:
    """Returns the reading of most files."""
    readings: list[Reading] = []
    errors: list[str] = []
    for file, sample in samples.items():
        try:
            readings.append(judge(values[file].ravel(), sample.dtype, sample.bands, [sample.file]))
        except DataError as error:
            errors.append(f"'{sample.file}' {error}.")
    if len(errors) > len(readings):
        raise DataError(errors[0])
    if not readings:
        return Reading("amplitude", "because no pixel could be looked at")
    counts = Counter(reading.unit == "db" for reading in readings).most_common()
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        raise DataError(
            f"As many files hold decibels as do not ({counts[0][1]} each), and one encoder takes "
            "one "
            "kind. Give --data a folder for each kind, or set data.options.stored."
        )
    linear = [reading for reading in readings if (reading.unit == "db") == counts[0][0]]
    unit = Counter(reading.unit for reading in linear).most_common(1)[0][0]
    return next(reading for reading in linear if reading.unit == unit)
