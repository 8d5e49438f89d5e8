"""Audio: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssl_kit import hookimpl

_HERE = __name__


@hookimpl
def register_domains(register: Callable[..., None]) -> None:
    """The domain."""
    register(
        "audio",
        f"{_HERE}.domain:AUDIO",
        summary="Speech, music and other sounds, as log-mel pictures or as waveforms.",
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """The reader and the demo."""
    register(
        "audio_files",
        f"{_HERE}.audio_files:AudioFiles",
        summary="WAV, FLAC, OGG, MP3 and other files of libsndfile, in windows.",
    )
    register(
        "audio_demo",
        f"{_HERE}.demo:Demo",
        summary="480 synthesized vowels of 16 speakers.",
    )


@hookimpl
def register_encoders(register: Callable[..., None]) -> None:
    """Encoders of waveforms, as in waveform/small."""
    register(
        "waveform",
        f"{_HERE}.waveform_encoder:WaveformEncoder",
        summary="Convolutions and a transformer for waveforms, as in HuBERT: tiny, small, base.",
    )


@hookimpl
def register_objectives(register: Callable[..., None]) -> None:
    """The pretext task."""
    register(
        "hubert",
        f"{_HERE}.hubert:Hubert",
        summary="Predicts the cluster of masked frames: of MFCCs, then of features (HuBERT).",
    )


@hookimpl
def register_evaluations(register: Callable[..., None]) -> None:
    """The quality of HuBERT's targets, and speech to text."""
    register(
        "target_quality",
        f"{_HERE}.target_quality:TargetQuality",
        summary="Agreement of clusters of frames with classes: PNMI and purity, as in HuBERT.",
    )
    register(
        "transcription",
        f"{_HERE}.transcription:Transcription",
        summary="Speech to text by CTC, fine-tuned from the encoder: character error rate.",
    )


@hookimpl
def register_recipes(register: Callable[..., None]) -> None:
    """Experiments of papers."""
    folder = Path(__file__).parent / "recipes"
    register(
        "hubert-academic",
        folder / "hubert-academic.toml",
        summary="HuBERT in two iterations; the quality of its targets, and few labels.",
    )
    register(
        "torchaudio-ssl",
        folder / "torchaudio-ssl.toml",
        summary="HuBERT, then speech to text by CTC: frozen at first, or trained at once.",
    )
