"""Audio: the plugins of this package, which are imported on first use."""

from __future__ import annotations

from collections.abc import Callable

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
