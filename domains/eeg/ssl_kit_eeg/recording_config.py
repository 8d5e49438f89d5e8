"""Options of the reader of recordings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .windows import WindowConfig


def _rising(band: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= band[0] < band[1]:
        raise ValueError("it is [low, high] in Hz")
    return band


class RecordingConfig(WindowConfig):
    """Options of the reader of recordings."""

    window: Annotated[float, Field(gt=0, description="length of a window in seconds")] = 5.0
    stride: Annotated[
        float, Field(ge=0, description="seconds from window to window (0: the length of a window)")
    ] = 0.0
    rate: Annotated[
        float, Field(ge=0, description="sampling rate in Hz of text, CSV and MATLAB files")
    ] = 0.0
    variable: Annotated[
        str,
        Field(description="array of a MATLAB file; '' is the one that is called as signals are"),
    ] = ""
    factor: Annotated[
        float,
        Field(
            gt=0,
            description="number that samples are multiplied by to become microvolts, such as 1e6 "
            "if a file has volts and declares microvolts or nothing",
        ),
    ] = 1.0
    resample: Annotated[float, Field(gt=0, description="sampling rate of windows in Hz")] = 128.0
    band: Annotated[
        tuple[float, float],
        AfterValidator(_rising),
        Field(
            description="lowest and highest frequency in Hz of the band-pass filter; a lowest "
            "frequency of 0 keeps drifts"
        ),
    ] = (0.5, 45.0)
    reference: Annotated[
        Literal["none", "average"],
        Field(description="reference of the channels; average subtracts the mean of all good ones"),
    ] = "none"
    channels: Annotated[
        tuple[str, ...],
        Field(description="names of the channels, EEG or not (default: EEG that recordings share)"),
    ] = ()
    bad_channels: Annotated[
        Literal["zero", "keep"],
        Field(description="treatment of channels that are flat, far too large or declared bad"),
    ] = "zero"
    annotations: Annotated[
        bool,
        Field(
            description="labels from annotations: a window has that of one that covers at "
            "least half of it"
        ),
    ] = False
    group: Annotated[
        Literal["recording", "folder"],
        Field(
            description="group of a recording without one in labels.csv or in a BIDS name: the "
            "file, or the first folder, which then is a subject and no label"
        ),
    ] = "recording"
