"""Remarks and errors of the reader of recordings about a whole data set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .recording_config import RecordingConfig
from .source_base import Facts

_SMALL, _BIG = 0.2, 500.0  # standard deviations between which microvolts are plausible
_SETS, _LISTED = 5, 8  # sets of channels, and channels of each, that an error lists


def of_amplitude(usual: float) -> Iterable[str]:
    """Yields a remark if samples are too small or too large for microvolts of EEG.

    Args:
        usual: Median standard deviation of windows.
    """
    if not _SMALL <= usual <= _BIG:
        guess = " 1e6 if they are volts, or 1e3 if they are millivolts" if usual < 1 else ""
        yield (
            f"The standard deviation is {usual:.2g}, and EEG has about 5 to 100 uV: the unit "
            f"may be another. Set data.options.factor,{guess or ' such as 1e-3'}."
        )


def of_options(sources: Collection[Facts], options: RecordingConfig) -> Iterable[str]:
    """Yields the length of the recordings, and which options have no or another effect.

    Args:
        sources: The recordings that are read.
        options: Options of the reader.
    """
    seconds = sum(source.seconds for source in sources)
    units = (("hours", 3600), ("minutes", 60), ("seconds", 1))
    unit, size = next((each for each in units if seconds >= 2 * each[1]), units[-1])
    length = f"{seconds / size:.3g} {unit}"
    yield f"Windows of {options.window:g} s at {options.resample:g} Hz, {length} in all."
    high, half = options.band[1], options.resample / 2
    if high > half:
        yield (
            f"data.options.band ends at {high:g} Hz, but it is cut to {half:g} Hz, half of "
            "data.options.resample."
        )
    declared = sum(source.declares_rate for source in sources)
    if options.rate and declared:
        yield (
            f"data.options.rate is ignored for {declared} of {len(sources)} recordings, whose "
            "files declare their own sampling rate."
        )


def of_annotations(count: int) -> Iterable[str]:
    """Yields how the annotations of some files become labels.

    Args:
        count: Number of files with annotations that cover half of a window or more.
    """
    if count:
        files = "1 file has" if count == 1 else f"{count} files have"
        yield f"{files} annotations; --set data.options.annotations=true makes them labels."


def strays(names: Iterable[str], sources: Iterable[Facts]) -> Iterable[str]:
    """Yields a remark if there are data files that no header names.

    Args:
        names: Paths of data files.
        sources: Recordings, which know the files that their headers name.
    """
    used = {part.name for source in sources for part in source.parts}
    unused = sorted(name for name in names if name.rpartition("/")[2] not in used)
    if unused:
        yield f"{len(unused)} data files without a header are not read, such as '{unused[0]}'."


def listed_sets(channels: Mapping[str, Sequence[str]]) -> str:
    """Returns the different sets of channels, each with a file that has it.

    Args:
        channels: Names of the channels by file.
    """
    files: dict[frozenset[str], str] = {}
    for file, names in channels.items():
        files.setdefault(frozenset(name.lower() for name in names), file)
    listed = []
    for file in list(files.values())[:_SETS]:
        names, more = channels[file], len(channels[file]) - _LISTED
        rest = f" and {more} more" if more > 0 else ""
        listed.append(f"'{file}' has {', '.join(names[:_LISTED])}{rest}")
    more = len(files) - _SETS
    return "; ".join(listed) + (f"; and {more} further sets" if more > 0 else "")
