"""Opens recordings by their endings."""

from __future__ import annotations

from pathlib import Path

from ssl_kit.data import keep_open

from .edf import EdfSource
from .matlab_source import MatlabSource
from .mne_source import GdfSource, MneSource, holds_its_data
from .source_base import Note as Note
from .source_base import Source
from .text_source import TextSource

TEXT = (".txt", ".csv", ".tsv")
BINARY = (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".ahdr", ".set", ".mat")


def open_source(path: Path, rate: float = 0, variable: str = "") -> Source:
    """Opens a recording by its ending, or returns it if it is open in this process.

    Args:
        path: Path of the file.
        rate: Sampling rate in Hz of files that do not declare it.
        variable: Array of a MATLAB file; "" is the one that is called like a signal.

    Raises:
        DataError: If the file cannot be used; NoRateError if a MATLAB file declares no rate.
        UsageError: If the file is text, which declares no rate, and none is given.
    """
    if path.suffix.lower() == ".mat":
        return _open_matlab(path, rate, variable)
    return (_open_whole if holds_its_data(path) else _open)(path, rate)


@keep_open(32)
def _open(path: Path, rate: float) -> Source:
    ending = path.suffix.lower()
    if ending in TEXT:
        return TextSource(path, rate)
    reader = {".edf": EdfSource, ".bdf": EdfSource, ".gdf": GdfSource}.get(ending, MneSource)
    return reader(path)


@keep_open(2)  # such recordings are in memory
def _open_whole(path: Path, rate: float) -> Source:
    return MneSource(path)


@keep_open(2)
def _open_matlab(path: Path, rate: float, variable: str) -> Source:
    return MatlabSource(path, rate, variable)
