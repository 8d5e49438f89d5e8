"""Reading a part of an audio file as it is in the whole file.

libsndfile 1.2 finds the place of a sample in MP3 and Ogg Vorbis, but what it decodes there can
differ from what it decodes if it reads the file from the start. These files are therefore read
from an earlier sample, and the samples before the part are dropped.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import soundfile  # type: ignore[import-untyped]

from .spectra import Reals

_PACKETS = 255  # at most so many packets end on an Ogg page
_VORBIS_BLOCK = 8192  # samples, the largest block of Ogg Vorbis
_OVERLAP = 3  # frames of MP3 until overlap, filter bank and the decoder's own start have settled


def read_part(path: Path, first: int, last: int) -> Reals:
    """Reads samples first to last of an audio file, as they are if the whole file is decoded.

    Args:
        path: The file.
        first: First sample, from 0.
        last: Sample behind the part.

    Returns:
        Samples (n, C), full scale is 1; fewer than asked for if the file ends before.

    Raises:
        soundfile.LibsndfileError: If libsndfile cannot read the file.
        OSError: If the file cannot be opened.
    """
    with soundfile.SoundFile(path) as audio:
        start = max(0, first - _run_up(audio, path, first))
        with _silenced() if audio.format == "MP3" else nullcontext():
            audio.seek(start)
            # In one call, because soundfile seeks again behind each one.
            samples: Reals = audio.read(last - start, dtype="float32", always_2d=True)
    return samples[first - start :]


def _run_up(audio: soundfile.SoundFile, path: Path, first: int) -> int:
    """Returns how many samples before the part must be decoded, too."""
    if audio.subtype == "MPEG_LAYER_III":
        return _mp3_run_up(audio.samplerate, audio.channels)
    if audio.subtype == "VORBIS":
        # A position on the last page is wrong if the end of that page is cut (libsndfile#885).
        block = _vorbis_block(path)
        page = _PACKETS * block // 2 + 2 * block
        return page if first > audio.frames - page else 0
    return 0


def _mp3_run_up(rate: int, channels: int) -> int:
    """Returns the samples after which a decoder of MP3 is in the state of a decoded whole file.

    The data of a frame may begin up to 511 bytes before it (MPEG-2: 255) in the data of earlier
    frames, and these are shortest at the lowest bit rate, which files of variable bit rate use.
    """
    mpeg1, mono = rate >= 32000, channels == 1
    samples, slowest, reservoir = (1152, 32000, 511) if mpeg1 else (576, 8000, 255)
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    data = max(1, samples * slowest // (8 * rate) - 4 - side)  # bytes, without header
    return (math.ceil(reservoir / data) + _OVERLAP) * samples


def _vorbis_block(path: Path) -> int:
    """Returns the length of the longer blocks of an Ogg Vorbis file in samples."""
    with path.open("rb") as stream:
        page = stream.read(57)
    return 1 << (page[56] >> 4) if page[28:35] == b"\x01vorbis" else _VORBIS_BLOCK


@contextmanager
def _silenced() -> Iterator[None]:
    """Hides the lines that libmpg123 writes to stderr, which do not name the file.

    It writes one for each frame whose data begin before the first frame that was read. Only in
    the main thread: stderr belongs to the process, so two threads could not both restore it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        terminal = os.dup(2)
    except (OSError, ValueError):  # no stderr
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
