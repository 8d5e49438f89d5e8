"""The channels that all recordings of a data set are read with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ssl_kit import UnknownNameError

from .electrodes import canonical
from .signals import is_fast
from .source_base import Facts

_COMMON = 0.9  # share of the recordings that have a channel which is used
_LISTED = 20  # channels that a remark names


@dataclass(frozen=True)
class Montage:
    """What is read of a data set.

    Attributes:
        names: Channels of each window; () if the recordings share none.
        lacking: First channel that a recording lacks, by file.
        remarks: What is left out and what was assumed.
    """

    names: tuple[str, ...]
    lacking: dict[int, str]
    remarks: tuple[str, ...]


def usable(source: Facts, wanted: Sequence[str], lowest: float) -> tuple[str, ...]:
    """Returns the channels that may be read.

    Args:
        source: A recording.
        wanted: Channels that the user chose. Without any these are EEG, or others if a file has no
            EEG, of rates that are high enough; a file in which all are too slow keeps them.
        lowest: Lowest frequency of the band in Hz.
    """
    if wanted:
        return source.names + source.others
    names = source.names or source.others
    return tuple(n for n in names if is_fast(source.rate_of(n), lowest)) or names


def choose(sources: Mapping[int, Facts], wanted: Sequence[str], lowest: float) -> Montage:
    """Decides on the channels; names are compared regardless of capitals.

    Args:
        sources: Recordings that have a signal, by file.
        wanted: Channels that the user chose; () for the EEG that most recordings have.
        lowest: Lowest frequency of the band in Hz.

    Raises:
        UsageError: If no recording has a channel that was chosen.
    """
    has = {file: usable(source, wanted, lowest) for file, source in sources.items()}
    spelling: dict[str, str] = {}
    for names in has.values():
        for name in names:
            spelling.setdefault(name.lower(), name)
    count = Counter(spelling[name.lower()] for names in has.values() for name in names)
    if wanted:
        chosen = _wanted(wanted, spelling)
    else:
        chosen = tuple(name for name in count if count[name] >= _COMMON * len(has))
    lower = {name.lower() for name in chosen}
    lacking = {}
    for file, names in has.items():
        own = {name.lower() for name in names}
        missing = [name for name in chosen if name.lower() not in own]
        if missing:
            lacking[file] = missing[0]
    slow = _distinct(
        name for file, source in sources.items() for name in source.names if name not in has[file]
    )
    remarks = [] if wanted else list(_remarks(sources, count, lower, slow))
    remarks += _of_files(source for file, source in sources.items() if file not in lacking)
    return Montage(chosen, lacking, tuple(remarks))


def _wanted(wanted: Sequence[str], spelling: Mapping[str, str]) -> tuple[str, ...]:
    chosen = []
    for asked, name in zip(wanted, canonical(wanted), strict=True):
        match = spelling.get(name.lower()) or spelling.get(asked.strip().lower())
        if match is None:
            known = sorted(spelling.values())
            hint = f"Some are {_listed(known)}." if len(known) > 30 else ""
            raise UnknownNameError("channel", asked, known, hint)
        chosen.append(match)
    return tuple(dict.fromkeys(chosen))


def _remarks(
    sources: Mapping[int, Facts], count: Mapping[str, int], chosen: set[str], slow: list[str]
) -> Iterable[str]:
    """Yields what is left out without having been asked for."""
    with_eeg = [source for source in sources.values() if source.names]
    others = _distinct(name for source in with_eeg for name in source.others)
    if others:
        yield (
            f"{_counted(others, 'channel')} not taken for EEG and left out: {_listed(others)}; "
            "--set data.options.channels=[...] chooses channels."
        )
    if slow:
        yield (
            f"{_counted(slow, 'channel')} left out, because the sampling rate is too low for "
            f"data.options.band: {_listed(slow)}."
        )
    rare = [name for name in count if name.lower() not in chosen]
    if rare:
        shares = [f"{name} (in {count[name]} of {len(sources)})" for name in rare]
        yield (
            f"{_counted(rare, 'channel')} left out, because fewer than {_COMMON:.0%} of the "
            f"recordings have them: {_listed(shares)}; --set data.options.channels=[...] chooses "
            "channels."
        )
    assumed = _distinct(name for source in with_eeg for name in source.assumed)
    if assumed:
        yield (
            f"{_counted(assumed, 'channel')} taken for EEG, because no channel has the name of an "
            f"electrode: {_listed(assumed)}; --set data.options.channels=[...] chooses channels."
        )
    silent = [source for source in sources.values() if not source.names]
    if silent:
        kinds = _distinct(name for source in silent for name in source.others)
        yield (
            f"{_counted(silent, 'recording')} read although no channel is EEG by its name: "
            f"{_listed(kinds)}."
        )


def _of_files(sources: Iterable[Facts]) -> Iterable[str]:
    """Yields what was assumed about single files, with their number."""
    listed = list(sources)
    for remark, number in Counter(text for each in listed for text in each.remarks).items():
        yield f"In {number} of {len(listed)} recordings {remark}."
    paused = sum(len({span.part for span in s.spans}) < len(s.spans) for s in listed)
    if paused:
        yield f"{paused} of {len(listed)} recordings have pauses; no window lies across one."


def _distinct(names: Iterable[str]) -> list[str]:
    return list({name.lower(): name for name in names}.values())


def _counted(items: Sequence[object], noun: str) -> str:
    return f"1 {noun} is" if len(items) == 1 else f"{len(items)} {noun}s are"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
