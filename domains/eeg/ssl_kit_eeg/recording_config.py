"""Options of the reader of recordings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .windows import WindowConfig


def _rising(band: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= band[0] < band[1]:
        raise ValueError("it is [low, high] in Hz")
    return band


_Band = Annotated[tuple[float, float], AfterValidator(_rising)]


class RecordingConfig(WindowConfig):
    """Options of the reader of recordings."""

    window: float = Field(5.0, gt=0, description="length of a window in seconds")
    stride: float = Field(
        0.0, ge=0, description="seconds from window to window (0: the length of a window)"
    )
    rate: float = Field(0.0, ge=0, description="sampling rate in Hz of text and CSV files")
    resample: float = Field(128.0, gt=0, description="sampling rate of windows in Hz")
    band: _Band = Field(
        (0.5, 45.0),
        description="lowest and highest frequency in Hz of the band-pass filter; a lowest "
        "frequency of 0 keeps drifts",
    )
    reference: Literal["none", "average"] = Field(
        "none",
        description="reference of the channels; average subtracts the mean of all good ones",
    )
    channels: tuple[str, ...] = Field(
        (), description="names of the channels, EEG or not (default: EEG that recordings share)"
    )
    bad_channels: Literal["zero", "keep"] = Field(
        "zero",
        description="treatment of channels that are flat, far too large or declared bad",
    )
    annotations: bool = Field(
        False,
        description="labels from annotations: a window has the label of one that covers half of it",
    )
    group: Literal["recording", "folder"] = Field(
        "recording",
        description="group of a recording without one in labels.csv or in a BIDS name: the file, "
        "or the first folder, which then is a subject and no label",
    )
