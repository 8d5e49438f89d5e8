"""Sentinel-1 products (.SAFE): the calibration and noise tables that belong to a measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

Floats = NDArray[np.float64]
_LARGEST = 64 << 20  # bytes of a table; those of products have 1 to 5 MB
_FLOOR = 1e-4  # least share of the noise that remains of a pixel: 40 dB below it


@dataclass(frozen=True)
class Vector:
    """Values of a table along one line of the image.

    Attributes:
        line: Number of the line.
        pixels: (n,) columns.
        values: (n,) values at these columns.
    """

    line: float
    pixels: Floats
    values: Floats


@dataclass(frozen=True)
class AzimuthBlock:
    """Factors of the noise along azimuth, for a rectangle of the image.

    Attributes:
        rows: First and last line.
        columns: First and last pixel.
        lines: (n,) lines at which the factors are given.
        factors: (n,).
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    lines: Floats
    factors: Floats


@dataclass(frozen=True)
class Tables:
    """The tables of one measurement file.

    Attributes:
        gain: A of eq. sigma0 = DN^2 / A^2.
        noise: Thermal noise in units of DN^2, () if it is not subtracted.
        blocks: Factors of the noise along azimuth.
    """

    gain: tuple[Vector, ...]
    noise: tuple[Vector, ...] = ()
    blocks: tuple[AzimuthBlock, ...] = ()

    def apply(self, values: NDArray[Any], top: int, left: int) -> NDArray[Any]:
        """Returns calibrated amplitudes, or a calibrated complex signal.

        Args:
            values: (h, w, 1) numbers of the product: digital numbers DN, or complex.
            top: Line of the first row.
            left: Pixel of the first column.

        Returns:
            DN / A, or sqrt(DN^2 - noise) / A; 0 and NaN stay as they are.
        """
        height, width = values.shape[:2]
        rows, columns = np.arange(top, top + height), np.arange(left, left + width)
        if self.noise:
            noise = interpolate(self.noise, rows, columns)[..., None]
            noise *= _azimuth_factors(self.blocks, rows, columns)[..., None]
            power = np.square(values.astype(np.float64))
            denoised = np.sqrt(np.maximum(power - noise, _FLOOR * noise))
            values = np.where(values > 0, denoised, values)
        gain = interpolate(self.gain, rows, columns)[..., None]
        calibrated: NDArray[Any] = (values / gain).astype(
            np.complex64 if np.iscomplexobj(values) else np.float32
        )
        return calibrated


def interpolate(
    vectors: Sequence[Vector], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Floats:
    """Interpolates a table bilinearly: along pixels in each vector, then between vectors.

    Outside of the table the nearest value holds.

    Args:
        vectors: In the order of their lines.
        rows: (h,) lines.
        columns: (w,) pixels.

    Returns:
        (h, w).
    """
    lines = np.array([vector.line for vector in vectors])
    last = len(lines) - 1
    before = np.clip(np.searchsorted(lines, rows, side="right") - 1, 0, last)
    after = np.minimum(before + 1, last)
    used = np.unique([before, after])
    curves = np.stack([np.interp(columns, vectors[v].pixels, vectors[v].values) for v in used])
    span = np.maximum(lines[after] - lines[before], 1)
    weight = np.clip((rows - lines[before]) / span, 0, 1)[:, None]
    first, second = curves[np.searchsorted(used, before)], curves[np.searchsorted(used, after)]
    return np.asarray(first * (1 - weight) + second * weight)


def _azimuth_factors(
    blocks: Sequence[AzimuthBlock], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Floats:
    """Returns the factor of the noise of each pixel, (h, w); 1 outside of all blocks."""
    factors = np.ones((len(rows), len(columns)))
    for block in blocks:
        inside_rows = (rows >= block.rows[0]) & (rows <= block.rows[1])
        inside_columns = (columns >= block.columns[0]) & (columns <= block.columns[1])
        if inside_rows.any() and inside_columns.any():
            along = np.interp(rows[inside_rows], block.lines, block.factors)
            factors[np.ix_(inside_rows, inside_columns)] = along[:, None]
    return factors


def tables_of(measurement: Path, element: str, denoise: bool) -> Tables | None:
    """Reads the tables that a product has for a measurement file.

    Args:
        measurement: PRODUCT.SAFE/measurement/NAME.tiff.
        element: sigmaNought, betaNought or gamma.
        denoise: Whether the tables of the noise are needed too.

    Returns:
        The tables; None if the file is in no product.

    Raises:
        DataError: If the product lacks a table or it cannot be read.
    """
    if measurement.parent.name.lower() != "measurement":
        return None
    folder = measurement.parent.parent / "annotation" / "calibration"
    if not folder.is_dir():
        return None
    gain = _vectors(_parse(folder, "calibration", measurement.stem), "calibrationVector", element)
    if any((vector.values <= 0).any() for vector in gain):
        raise DataError(f"its calibration table {element} has values that are not positive")
    if not denoise:
        return Tables(gain)
    root = _parse(folder, "noise", measurement.stem)
    if root.find(".//noiseRangeVector") is not None:
        noise = _vectors(root, "noiseRangeVector", "noiseRangeLut")
    else:  # before version 2.9 of the processor
        noise = _vectors(root, "noiseVector", "noiseLut")
    return Tables(gain, noise, tuple(_blocks(root)))


def _parse(folder: Path, kind: str, stem: str) -> ElementTree.Element:
    names = [f"{kind}-{stem}.xml", f"{kind}-{stem.removesuffix('-cog')}.xml"]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        option = "denoise=false" if kind == "noise" else "calibration_table=none"
        raise DataError(
            f"its {kind} table {names[0]} is missing in annotation/{folder.name}; "
            f"data.options.{option} does without it"
        )
    if path.stat().st_size > _LARGEST:
        raise DataError(f"its {kind} table has {path.stat().st_size} bytes, too many for a table")
    try:
        content = path.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities could fill the memory
            raise DataError(f"its {kind} table {path.name} defines entities, which tables do not")
        return ElementTree.fromstring(content)  # noqa: S314
    except (ElementTree.ParseError, OSError) as error:
        raise DataError(f"its {kind} table {path.name} cannot be read: {error}") from error


def _vectors(root: ElementTree.Element, name: str, element: str) -> tuple[Vector, ...]:
    vectors = []
    for node in root.iter(name):
        pixels, values = _numbers(node, "pixel"), _numbers(node, element)
        if len(pixels) != len(values) or np.any(np.diff(pixels) <= 0):
            raise DataError(f"its table {name} has {len(values)} values for {len(pixels)} pixels")
        vectors.append(Vector(float(_numbers(node, "line")[0]), pixels, values))
    if not vectors:
        raise DataError(f"its tables have no {name}")
    return tuple(sorted(vectors, key=lambda vector: vector.line))


def _blocks(root: ElementTree.Element) -> Iterator[AzimuthBlock]:
    for node in root.iter("noiseAzimuthVector"):
        ends = (
            int(_numbers(node, name)[0]) if node.find(name) is not None else default
            for name, default in (
                ("firstAzimuthLine", 0),
                ("lastAzimuthLine", 1 << 40),
                ("firstRangeSample", 0),
                ("lastRangeSample", 1 << 40),
            )
        )
        top, bottom, left, right = ends
        lines, factors = _numbers(node, "line"), _numbers(node, "noiseAzimuthLut")
        if len(lines) != len(factors):
            raise DataError("its table noiseAzimuthVector has unequal numbers of lines and values")
        yield AzimuthBlock((top, bottom), (left, right), lines, factors)


def _numbers(node: ElementTree.Element, name: str) -> Floats:
    try:
        numbers = np.array([float(text) for text in (node.findtext(name) or "").split()])
    except ValueError as error:
        raise DataError(f"its table has a {name} that is no number") from error
    if not len(numbers) or not np.isfinite(numbers).all():
        raise DataError(f"its table has no {name}")
    return numbers
