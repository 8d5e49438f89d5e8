"""Base of the reader of EEG and of the demo: from a signal to an image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Config, Image, UsageError
from ssl_kit.data import SignalDataset

from .electrodes import Places, flat
from .pictures import BANDS, Reals, map_weights, mel, scalogram, spectrogram, topography

_HEADROOM = 3  # spikes are that much larger than the bulk, and must not be cut off
_TIME_FREQUENCY: Mapping[str, Callable[[Reals, float], Image]] = {
    "spectrogram": spectrogram,
    "mel": mel,
    "scalogram": scalogram,
}


class WindowConfig(Config):
    """Options of everything that shows windows of EEG."""

    image: Annotated[
        Literal["spectrogram", "mel", "scalogram", "signal", "grid", "topography"],
        Field(
            description="image that a window becomes. Pictures of time and frequency, one channel "
            "for each electrode: spectrogram, mel, scalogram. signal: the samples, height 1, for "
            "1-D encoders. grid: electrodes x time. topography: a map of the scalp for each band"
        ),
    ] = "spectrogram"


class Windows(SignalDataset):
    """Windows of EEG as images; the names of the channels tell policies what an image is.

    A subclass calls `_show` when it knows its electrodes. Positions are the number of the
    recording and the time of the window's start in it, in seconds.
    """

    Config: ClassVar[type[WindowConfig]] = WindowConfig
    options: WindowConfig

    @abstractmethod
    def signal(self, i: int) -> Reals:
        """Returns window i, (C, n), in microvolts."""

    def _show(self, electrodes: Sequence[str], rate: float, known: Places) -> None:
        """Sets the channels.

        Args:
            electrodes: Names of the C rows of `signal`.
            rate: Hz.
            known: Places of electrodes that are not in the 10-05 system.

        Raises:
            UsageError: If there are too few electrodes for a map.
        """
        self.electrodes, self.rate = tuple(electrodes), rate
        if self.options.image == "signal":
            self.channels = tuple(f"{name}_uv" for name in electrodes)
        elif self.options.image == "grid":
            self.channels = ("grid",)
        elif self.options.image == "topography":
            self._placed, places = flat(electrodes, known)
            if len(self._placed) < max(4, len(electrodes) / 2):  # else A1 is no ear lobe
                raise UsageError(
                    f"data.options.image=topography needs the places of 4 electrodes and of half "
                    f"of them; the 10-05 system has {len(self._placed)} of {len(electrodes)} "
                    f"({', '.join(electrodes[:8])})."
                )
            self._weights = map_weights(places)
            self.channels = tuple(f"{band}_map" for band in BANDS)
        else:
            self.channels = tuple(f"{name}_{self.options.image}" for name in electrodes)

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `channels` if the recordings have these electrodes."""
        ending = {"signal": "uv"}.get(self.options.image, self.options.image)
        names = [name.removesuffix(f"_{ending}") for name in channels]
        chooses = "channels" in type(self.options).model_fields
        return {"channels": names} if chooses and set(names) <= set(self.electrodes) else {}

    def picture(self, x: Reals) -> Image:
        """Returns the image of a window (C, n), (H, W, C') float32: microvolts, or decibels."""
        if self.options.image == "signal":
            return np.ascontiguousarray(x.T[None])
        if self.options.image == "grid":
            return x[..., None]
        if self.options.image == "topography":
            return topography(x[self._placed], self.rate, self._weights)
        return _TIME_FREQUENCY[self.options.image](x, self.rate)

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns the 0.5th and 99.5th percentile of decibels.

        Of microvolts three times the 99.5th percentile of their size on both sides: zero becomes
        0.5, so that a policy can flip signs, and spikes are not cut off.
        """
        measured = super().measure_value_range(images)
        if self.options.image not in ("signal", "grid"):
            return measured
        top = _HEADROOM * np.abs(measured).max(axis=1)
        return np.stack([-top, top], axis=1)
