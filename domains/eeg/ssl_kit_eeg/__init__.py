"""EEG and wearable biosignals: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl

_HERE = __name__


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain."""
    register(
        "eeg",
        f"{_HERE}.domain:EEG",
        summary="EEG and wearable biosignals, as signals or as pictures.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The readers and the demo."""
    register(
        "recordings",
        f"{_HERE}.recordings:Recordings",
        summary="EDF, BDF, GDF, FIF, BrainVision, EEGLAB, text and CSV, in windows.",
    )
    register(
        "empatica",
        f"{_HERE}.empatica:Empatica",
        summary="Folders of Empatica E4 wristbands, on one clock, in windows.",
    )
    register(
        "eeg_demo",
        f"{_HERE}.demo:Demo",
        summary="512 simulated windows of 16 subjects: eyes open or closed, sleep, seizure.",
    )


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """The pretext tasks."""
    register(
        "transform_recognition",
        f"{_HERE}.transform_recognition:TransformRecognition",
        summary="Classifies which of six transformations was applied to a signal.",
    )
    register(
        "relative_positioning",
        f"{_HERE}.relative_positioning:RelativePositioning",
        summary="Classifies whether two windows of a recording are close in time.",
    )
    register(
        "temporal_shuffling",
        f"{_HERE}.temporal_shuffling:TemporalShuffling",
        summary="Classifies whether three windows of a recording are in order of time.",
    )
    register(
        "forecasting",
        f"{_HERE}.forecasting:Forecasting",
        summary="Predicts the next samples of a signal from the samples before.",
    )


@hookimpl
def register_encoders(register: Callable[..., None]) -> None:
    """Encoders of raw signals, as in resnet1d/small."""
    register(
        "resnet1d",
        f"{_HERE}.resnet1d:ResNet1dEncoder",
        summary="Residual networks along time: tiny, small, base.",
    )


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Experiments of papers."""
    register(
        "eeg-transformations",
        Path(__file__).parent / "recipes" / "eeg-transformations.toml",
        summary="Recognition of six transformations, then a new head on frozen convolutions.",
    )
    register(
        "sim-cnn-stress",
        Path(__file__).parent / "recipes" / "sim-cnn-stress.toml",
        summary="Forecasting of each subject's signals, then fine-tuning for this subject.",
    )
