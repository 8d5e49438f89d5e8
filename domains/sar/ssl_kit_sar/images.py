"""Base of the readers of radar files: from a signal to the values of an image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Config, DataError, Dataset, Image, UsageError
from ssl_kit.data import evenly_spaced

from .signals import RANGE_DB, compand, decibels, intensity, multilook, sublooks

_TOP = 99.9  # percentile of the decibels that becomes the highest value
_NEEDS_PHASE = ("complex", "sublooks")


class SarConfig(Config):
    """Options that all radar readers have."""

    values: Annotated[
        Literal["db", "amplitude", "sublooks", "complex"],
        Field(
            description="values of an image: intensity in decibels (db), amplitude, two halves of "
            "the azimuth band in decibels (sublooks), or real and imaginary part with the "
            "amplitude in decibels (complex)"
        ),
    ] = "db"
    calibration: Annotated[
        float,
        Field(gt=0, description="factor of the intensity that gives sigma0 or beta0"),
    ] = 1.0
    looks: Annotated[
        tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
        Field(description="number of looks in azimuth and in range: pixels that are averaged"),
    ] = (1, 1)


class SarImages(Dataset):
    """Images of a radar signal, range along the rows.

    Decibels cover 60 dB below the 99.9th percentile. Amplitudes begin at 0, so that a factor stays
    a factor. Policies tell decibels from amplitudes by the names of the channels.
    """

    Config = SarConfig
    options: SarConfig

    @abstractmethod
    def signal(self, i: int) -> NDArray[Any]:
        """Returns image i, (H, W, P): complex64, or its intensity, float32; NaN is no data."""

    def name_channels(self, polarizations: Sequence[str], has_phase: bool) -> None:
        """Sets the channels that the polarizations become.

        Raises:
            UsageError: If the options ask for what the files do not hold.
        """
        values = self.options.values
        if values in _NEEDS_PHASE and not has_phase:
            raise UsageError(
                f"data.options.values is '{values}', but the files are not complex. "
                "Use 'db' or 'amplitude'."
            )
        if values == "complex" and self.options.looks != (1, 1):
            raise UsageError("data.options.looks averages intensities; 'complex' has none.")
        endings = {
            "db": ("db",),
            "amplitude": ("amplitude",),
            "sublooks": ("look1_db", "look2_db"),
            "complex": ("real", "imag"),
        }[values]
        self.channels = tuple(f"{name}_{end}" for end in endings for name in polarizations)

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, C), float32, in the values asked for."""
        signal, options = self.signal(i), self.options
        if options.values == "complex":
            parts = np.concatenate([signal.real, signal.imag], axis=2)
            return parts * np.float32(options.calibration**0.5)
        if options.values == "sublooks":
            power = sublooks(np.nan_to_num(signal))  # one NaN would fill the whole spectrum
        else:
            power = intensity(signal) if np.iscomplexobj(signal) else signal
        power = multilook(power * np.float32(options.calibration), options.looks)
        if 0 in power.shape:
            raise DataError(f"has fewer pixels than data.options.looks {options.looks}")
        return np.sqrt(power) if options.values == "amplitude" else decibels(power)

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns 60 dB below the 99.9th percentile, or amplitudes from 0 to the 99.5th."""
        options = self.options
        if options.values == "amplitude":
            top = super().measure_value_range(images)[:, 1]
            return np.stack([np.zeros_like(top), top], axis=1)
        if options.values == "complex":
            top = 10 ** (self.top_levels(images) / 20)
            return np.stack([-top, top], axis=1)
        top = self.top_levels(images)
        return np.stack([top - RANGE_DB, top], axis=1)

    def top_levels(self, images: int) -> NDArray[np.float64]:
        """Returns the 99.9th percentile of each channel, rounded up to whole decibels, (C,).

        Args:
            images: How many images, evenly spread over the dataset, are looked at.
        """
        levels = []
        for i in evenly_spaced(len(self), images).tolist():
            try:
                image = self.read(i)
            except DataError:
                continue
            if self.options.values == "complex":
                real, imag = np.split(image, 2, axis=2)
                image = np.tile(decibels(real**2 + imag**2), 2)
            flat = image.reshape(-1, image.shape[2])
            levels.append(flat[:: max(1, len(flat) // 4096)])
        if not levels:
            raise DataError("None of the images looked at can be read; see the files themselves.")
        return np.array([_top(column) for column in np.concatenate(levels).T])

    def scale(self, image: Image) -> Image:
        """Maps values to float32 in [0, 1]; of complex ones 0.5 is zero, see `signals.compand`."""
        if self.options.values != "complex":
            return super().scale(image)
        real, imag = np.split(np.nan_to_num(image, nan=0.0), 2, axis=2)
        top = self.value_range[: real.shape[2], 1].astype(np.float32)
        companded = compand((real + 1j * imag) / top)
        return np.concatenate([companded.real, companded.imag], axis=2) / 2 + np.float32(0.5)


def _top(levels: NDArray[np.float32]) -> float:
    finite = levels[np.isfinite(levels)]
    return float(np.ceil(np.percentile(finite, _TOP))) if len(finite) else 0.0
