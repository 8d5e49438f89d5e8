"""From the bands of a scene to the channels of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image, UnknownNameError, UsageError

from .bands import THERMAL, canonical, name_bands, role
from .indices import bands_of, compute
from .options import GeoTiffConfig
from .products import sensor_of
from .stacks import Scene

Floats = NDArray[np.float32]

# Weights of the bands that make up the panchromatic band: those its spectrum covers. ETM+ sees
# from 520 to 900 nm; the others are those of rio-pansharpen for OLI, from 500 to 680 nm.
_PAN: Mapping[str, Mapping[str, float]] = {
    "landsat7": {"green": 1.0, "red": 1.0, "nir": 1.0},
    "": {"blue": 0.2, "green": 1.0, "red": 1.0},
}


_HOW_TO_NAME = "Name bands with data.options.sensor or data.options.channels."


class Recipe:
    """Selects the bands to read and makes the channels: reflectance, sharpening, indices.

    Args:
        scene: One of the scenes, which are all of one kind.
        where: Path of its first file, which may tell the sensor.
        options: Of the reader.

    Attributes:
        positions: Places in `Scene.bands` of the bands to read.
        channels: Names of the channels of an image: bands, then indices.
        plain: Whether the bands are not changed, so that uint8 stays uint8.

    Raises:
        UsageError: If the options ask for bands that the files lack.
    """

    def __init__(self, scene: Scene, where: str, options: GeoTiffConfig) -> None:
        sensor = options.sensor or sensor_of(where)
        everything, wanted = _choose(scene, sensor, options)
        pan = _PAN.get(sensor, _PAN[""]) if options.pansharpen else {}
        self._pan = dict(pan)
        if options.pansharpen:
            wanted = [name for name in wanted if name != "pan"]
        self._indices = {name: _sources(name, everything) for name in options.indices}
        soil = self._indices.get("savi", ())
        if any(name in everything and scene.calibration[everything[name]] is None for name in soil):
            raise UsageError(
                "The index savi needs reflectances. Give data.options.reflectance: gain and "
                "offset, such as [0.0001, 0]."
            )
        needed = [*wanted, *self._pan, *(["pan"] if self._pan else [])]
        needed += [name for pair in self._indices.values() for name in pair]
        self._read = list(dict.fromkeys(needed))
        _check(self._read, everything)
        self.positions = tuple(everything[name] for name in self._read)
        self._bands = len(wanted)
        self.channels = (*wanted, *options.indices)
        self._range = options.range
        self.plain = not (self._pan or self._indices)

    def __call__(self, pixels: Floats, gains: Floats) -> Image:
        """Makes the channels.

        Args:
            pixels: (h, w, R) of the bands that are read, NaN where there is no data.
            gains: (2, R) gain and offset of each.

        Returns:
            (h, w, C) float32.
        """
        if (gains[0] != 1).any() or gains[1].any():
            pixels = pixels * gains[0] + gains[1]
        if self.plain:
            return pixels
        at = {name: pixels[..., i] for i, name in enumerate(self._read)}
        if self._pan:
            at |= brovey({name: at[name] for name in self._pan}, at["pan"], self._pan)
        channels = [at[name] for name in self.channels[: self._bands]]
        channels += [compute(name, at[a], at[b]) for name, (a, b) in self._indices.items()]
        return np.stack(channels, axis=-1, dtype=np.float32)

    def value_range(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """Replaces the measured range (C, 2) of the channels whose range is fixed."""
        ends = measured.copy()
        for i, name in enumerate(self.channels):
            if i >= self._bands:
                ends[i] = -1, 1
            elif self._range is not None and name not in THERMAL:
                ends[i] = self._range
        return ends


def brovey(
    bands: Mapping[str, Floats], pan: Floats, weights: Mapping[str, float]
) -> dict[str, Floats]:
    """Sharpens bands: M' = M P / I, where I is the weighted mean of the bands.

    Brovey's transform, with the weights of https://github.com/mapbox/rio-pansharpen; Gillespie,
    Kahle and Walker 1987, https://doi.org/10.1016/0034-4257(87)90088-5. The ratios of the bands
    stay as they are.

    Args:
        bands: By name, all of the shape of `pan`.
        pan: The panchromatic band in the same units.
        weights: Of the bands in it.
    """
    total = sum(weights.values())
    intensity = sum(weights[name] * band for name, band in bands.items()) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.asarray(intensity) > 0, pan / intensity, np.float32(1))
    return {name: (band * ratio).astype(np.float32) for name, band in bands.items()}


def _choose(scene: Scene, sensor: str, options: GeoTiffConfig) -> tuple[dict[str, int], list[str]]:
    """Returns the places of all bands by name, and the names of those to use."""
    by_name = any(isinstance(band, str) for band in options.bands)
    asked = [role(name, sensor) or name for name in options.channels]
    if asked and (by_name or not options.bands):
        _check_names(asked, list(range(1, len(scene.names) + 1)))
        names: Sequence[str] = asked
    else:
        names = name_bands(scene.names, sensor, bool(options.sensor))
    wanted = [
        band if isinstance(band, str) else names[band - 1] if band <= len(names) else str(band)
        for band in options.bands
    ]
    for name in wanted:
        if name not in names and canonical(name) not in names and not name.isdigit():
            raise UnknownNameError("band", name, names, _HOW_TO_NAME)
        if name not in names and canonical(name) in names:
            raise UsageError(f"The files have no band '{name}'. Did you mean '{canonical(name)}'?")
    if len(set(wanted)) < len(wanted) or set(wanted) - set(names):
        raise UsageError(
            f"data.options.bands is {list(options.bands)}, but the files have bands "
            f"1 to {len(names)} ({', '.join(names)}), each to be used once."
        )
    if asked and options.bands and not by_name:
        _check_names(asked, list(options.bands))
        renamed = dict(zip(wanted, asked, strict=True))
        names, wanted = [renamed.get(name, name) for name in names], list(asked)
    return {name: i for i, name in enumerate(names)}, wanted or list(names)


def _check_names(names: Sequence[str], bands: Sequence[object]) -> None:
    if len(names) != len(bands) or len(set(names)) < len(names):
        raise UsageError(
            f"data.options.channels has {len(names)} names for {len(bands)} bands: "
            f"{list(bands)}; each needs one of its own."
        )


def _sources(index: str, bands: Mapping[str, int]) -> tuple[str, str]:
    """Returns the bands of an index; the narrow near infrared if there is no other."""
    swap = "nir" not in bands and "nir_narrow" in bands
    first, second = ("nir_narrow" if swap and b == "nir" else b for b in bands_of(index))
    return first, second


def _check(needed: Sequence[str], bands: Mapping[str, int]) -> None:
    absent = [name for name in needed if name not in bands]
    if absent:
        raise UsageError(
            f"The indices or the sharpening need the bands {', '.join(absent)}, but the files "
            f"have {', '.join(bands)}. Name them with data.options.sensor or data.options.channels."
        )
