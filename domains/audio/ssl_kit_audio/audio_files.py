"""Audio files of many formats, cut into windows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os.path import splitext
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import soundfile  # type: ignore[import-untyped]
from pydantic import Field
from scipy.signal import resample_poly

from ssl_kit import DataError
from ssl_kit.data import (
    FileDataset,
    agree,
    evenly_spaced,
    natural_key,
    parents_of,
    plural,
    renumber,
)

from .seeking import read_part
from .spectra import Reals
from .windows import WindowConfig, Windows

_MARGIN = 0.1  # seconds read on both sides of a window, for the filter of the resampling
_LEAST = 0.5  # of a window: a shorter rest at the end of a recording is left out


class AudioConfig(WindowConfig):
    """Options of the reader of audio files."""

    window: Annotated[float, Field(gt=0, description="length of a window in seconds")] = 1.0
    stride: Annotated[
        float, Field(ge=0, description="seconds from window to window (0: the length of a window)")
    ] = 0.0
    rate: Annotated[
        int, Field(ge=1000, description="sampling rate of windows in Hz; other rates are resampled")
    ] = 16000
    channel: Annotated[
        int,
        Field(ge=-1, description="channel of files with several, from 0; -1 for their mean"),
    ] = -1
    short: Annotated[
        Literal["silence", "repeat"],
        Field(description="filling of windows of recordings that are shorter than a window"),
    ] = "silence"
    group: Annotated[
        Literal["recording", "folder"],
        Field(
            description="group of a recording without a declared one: the file, or the first "
            "folder, which then is a speaker or place and no label"
        ),
    ] = "recording"


@dataclass(frozen=True)
class _Facts:
    """What the header of a file says: sampling rate in Hz, samples, channels."""

    rate: int
    samples: int
    channels: int


class AudioFiles(Windows, FileDataset):
    """WAV, FLAC, OGG, MP3, AIFF and other files that libsndfile reads.

    Only the samples of a window are read, resampled by a polyphase filter, and full scale is 1.
    """

    Config = AudioConfig
    options: AudioConfig
    suffixes = (
        *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc"),
        *(".au", ".snd", ".caf", ".w64", ".rf64", ".sph", ".nist"),
    )
    rivals = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".npy", ".edf", ".dcm")
    kind = "audio files"

    def prepare(self) -> None:
        """Reads the header of each file and decides on its windows."""
        FileDataset.prepare(self)
        Windows.prepare(self)
        self.rate = self.options.rate
        self._facts = self.inspect(self._look)
        self._file, self._start = self._cut()
        groups = [self._group(file) for file in range(len(self.files))]
        grouped = {"group": "names of folders"} if self._in_folders else {}
        self.index = self.files.expand(
            self._file,
            [
                f"{self.files.key(file)}#{start:.10g}" if start else self.files.key(file)
                for file, start in zip(self._file.tolist(), self._start.tolist(), strict=True)
            ],
            np.column_stack([np.array(self._in_order(groups))[self._file], self._start]),
            labels=[""] * len(self._file) if self._in_folders else None,
            groups=[groups[file] for file in self._file.tolist()],
            origins={**grouped, **self.files.origins},
        )
        self.index = replace(self.index, remarks=(*self.index.remarks, *self._remarks()))

    @property
    def _in_folders(self) -> bool:
        """Whether the first folder is the group, so that it is no label."""
        return self.options.group == "folder" and not self.declares_labels

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two seconds of noise, as WAV and as FLAC."""
        noise = np.random.default_rng(0).normal(0, 0.1, 32000)
        for name in ("0.wav", "1.flac"):
            soundfile.write(folder / name, noise, 16000)
        return folder

    def _look(self, file: int) -> _Facts:
        try:
            info = soundfile.info(self.path_of(file))
        except (soundfile.LibsndfileError, OSError) as error:
            raise DataError(f"is no audio that libsndfile reads ({_reason(error)})") from error
        if not info.frames:
            raise DataError("has no samples")
        if self.options.channel >= info.channels:
            raise DataError(
                f"has {info.channels} channels and none of number {self.options.channel} "
                "(data.options.channel counts from 0)"
            )
        return _Facts(info.samplerate, info.frames, info.channels)

    def _cut(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the file of each window and its start in seconds; a faulty file has one."""
        starts = [
            self._starts(self._facts[file]) if file in self._facts else [0.0]
            for file in range(len(self.files))
        ]
        return parents_of(starts), np.concatenate([np.asarray(each) for each in starts])

    def _starts(self, facts: _Facts) -> Sequence[float]:
        window, stride = self.options.window, self.options.stride or self.options.window
        left = facts.samples / facts.rate - window
        count = max(1, math.floor(left / stride + 1e-9) + 1)
        starts = [number * stride for number in range(count)]
        covered = starts[-1] + window
        if left > 0 and facts.samples / facts.rate - covered >= _LEAST * window:
            starts.append(left)
        return starts

    def _group(self, file: int) -> str:
        """Returns the declared group, the first folder where that is asked for, or the file."""
        key = self.files.key(file)
        folder = key.partition("/")[0] if self.options.group == "folder" and "/" in key else ""
        return self.declared_group(file) or folder or self.files.group(file)

    def _in_order(self, groups: Sequence[str]) -> list[int]:
        """Returns the number of each file as a recording: by name in its group, 2 before 10."""
        members = dict[str, list[int]]()
        for file, group in enumerate(groups):
            members.setdefault(group, []).append(file)
        names = [natural_key(splitext(self.files.key(file))[0]) for file in range(len(groups))]
        by_name = (sorted(own, key=names.__getitem__) for own in members.values())
        return renumber(range(len(groups)), by_name)

    def _remarks(self) -> Iterable[str]:
        """Says how files are ordered, and what was resampled, averaged, filled and left out."""
        files = Counter(self._group(file) for file in self._facts)
        several = sum(count > 1 for count in files.values())
        if several:
            yield (
                f"The recordings of {plural(several, 'group')} are in the order of their names, "
                "with 2 before 10. Rename files whose order in time is another."
            )
        facts, options = list(self._facts.values()), self.options
        slow = sorted({each.rate for each in facts if each.rate < options.rate})
        if slow:
            count = sum(each.rate < options.rate for each in facts)
            yield (
                f"{count} of {plural(len(facts), 'file')} {agree(count, 'has', 'have')} fewer "
                f"samples a second ({slow[0]:,}) than "
                f"data.options.rate ({options.rate:,}), so they have no sound above "
                f"{slow[0] // 2:,} Hz."
            )
        several = sum(each.channels > 1 for each in facts)
        if several and options.channel < 0:
            yield f"The channels of {plural(several, 'file')} are averaged (data.options.channel)."
        short = sum(each.samples < options.window * each.rate for each in facts)
        if short:
            filled = {"silence": "filled with silence", "repeat": "repeated"}[options.short]
            be, them = agree(short, "is", "are"), plural(short, "file")
            yield f"{them} {be} shorter than {options.window:g} s and {be} {filled}."

    def signal(self, i: int) -> Reals:
        """Returns window i, (1, n), full scale is 1.

        Raises:
            DataError: If its file is damaged or shorter than its header says.
        """
        file, start = int(self._file[i]), float(self._start[i])
        self.refuse_faulty(file)
        facts, options = self._facts[file], self.options
        count = round(options.window * options.rate)
        common = math.gcd(facts.rate, options.rate)
        up, down = options.rate // common, facts.rate // common
        margin = round(_MARGIN * facts.rate) if up != down else 0
        first = max(0, round(start * facts.rate) - margin) // down * down  # on both clocks
        last = min(facts.samples, round((start + options.window) * facts.rate) + margin)
        x = self._mixed(self._read(file, first, last))
        if up != down:
            x = resample_poly(x, up, down)
        begin = round(start * options.rate) - first // down * up
        x = x[begin : begin + count].astype(np.float32)
        if len(x) < count:
            x = np.resize(x, count) if options.short == "repeat" else np.pad(x, (0, count - len(x)))
        return x[None]

    def _read(self, file: int, first: int, last: int) -> Reals:
        """Returns samples (n, C) of a file."""
        try:
            x = read_part(self.path_of(file), first, last)
        except (soundfile.LibsndfileError, OSError) as error:
            raise DataError(f"is damaged ({_reason(error)})") from error
        if len(x) < last - first:
            raise DataError("is shorter than its header says")
        if not np.isfinite(x).all():
            raise DataError("has samples that are no numbers")
        return x

    def _mixed(self, x: Reals) -> Reals:
        """Returns the chosen channel (n,) of samples (n, C), or their mean."""
        chosen = self.options.channel
        mixed: Reals = x.mean(axis=1) if chosen < 0 else x[:, chosen]
        return mixed

    def _loudest(self, images: int) -> float:
        loudest = [0.0]
        for i in evenly_spaced(len(self), images).tolist():
            with suppress(DataError):
                loudest.append(float(np.abs(self.signal(i)).max()))
        return max(loudest)


def _reason(error: Exception) -> str:
    """Returns the reason of an error of libsndfile, without the path of the file."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None)
    return str(text or type(error).__name__).rstrip(".")
