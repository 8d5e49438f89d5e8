"""Base of the reader and of the demo: from a waveform to an image."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ssl_kit import Config, Image
from ssl_kit.data import SignalDataset

from .spectra import Reals, log_mel

LOG_MEL, WAVEFORM = "log_mel", "waveform"


class WindowConfig(Config):
    """Options of everything that shows windows of audio."""

    image: Annotated[
        Literal["log_mel", "waveform"],
        Field(
            description="image that a window becomes: log_mel, a picture of time and frequency for "
            "any encoder; or waveform, the samples with height 1, for 1-D encoders"
        ),
    ] = "log_mel"
    bands: Annotated[int, Field(ge=8, description="number of mel bands, the rows of log_mel")] = 64


class Windows(SignalDataset):
    """Windows of audio as images with one channel, called like the kind of image.

    Positions are the number of the recording and the time of the window's start in it, in seconds.
    A subclass sets `index` and `rate` (Hz) and returns waveforms (1, n), full scale 1, by `signal`.
    """

    Config: ClassVar[type[WindowConfig]] = WindowConfig
    options: WindowConfig
    rate: int

    def prepare(self) -> None:
        """Sets the channel."""
        self.channels = (self.options.image,)

    def picture(self, x: Reals) -> Image:
        """Returns the image of a waveform: (1, n, 1) samples, or (bands, T, 1) decibels."""
        if self.options.image == WAVEFORM:
            return np.ascontiguousarray(x.T[None])
        return log_mel(x[0], self.rate, self.options.bands)[..., None]

    def measure_value_range(self, images: int = 64) -> NDArray[np.float64]:
        """Returns the 0.5th and 99.5th percentile of decibels; full scale of samples.

        Where float samples exceed full scale, their largest value counts as full scale.
        """
        if self.options.image == LOG_MEL:
            return super().measure_value_range(images)
        return np.array([[-1.0, 1.0]]) * max(1.0, self._loudest(images))

    def _loudest(self, images: int) -> float:
        """Returns the largest magnitude of a sample in some windows."""
        return 1.0
