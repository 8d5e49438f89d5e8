"""Numbers the recordings of each subject in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ssl_kit.data import natural_key, plural, renumber

_APART = 0.9  # of a recording's length, after which the next may start: clocks are rounded


@dataclass(frozen=True)
class Recording:
    """A recording, or one of several that a file holds.

    Attributes:
        file: Number of its file, in the order of paths.
        part: Its number in the file.
        name: Path of the file without its ending.
        group: Subject.
        began: Unix time of its start in seconds; None if it is not known.
        seconds: Its length by the clock; 0 if it cannot be read.
    """

    file: int
    part: int
    name: str
    group: str
    began: float | None
    seconds: float


def numbered(recordings: Sequence[Recording], files: int) -> tuple[list[int], list[str]]:
    """Numbers recordings so that those of a group follow each other in time.

    The order is that of the clock if all recordings of a group have a start and do not overlap,
    else the natural order of their names. Recordings of one file stay together.

    Args:
        recordings: Of all groups.
        files: Number of files.

    Returns:
        The number of each recording (see `renumber`), and remarks on the order.
    """
    groups = dict[str, list[int]]()
    for i, recording in enumerate(recordings):
        if recording.seconds:
            groups.setdefault(recording.group, []).append(i)
    by_clock, by_name, in_order = 0, 0, list[list[int]]()
    for rows in groups.values():
        timed = _have_times([recordings[i] for i in rows])
        if len({recordings[i].file for i in rows}) > 1:
            by_clock, by_name = by_clock + timed, by_name + (not timed)
        in_order.append(sorted(rows, key=lambda i: _place(recordings[i], timed)))
    numbers = renumber([each.file + each.part * files for each in recordings], in_order)
    return numbers, list(_remarks(by_clock, by_name))


def _have_times(recordings: Sequence[Recording]) -> bool:
    """Tells whether the starts are known and do not contradict the lengths."""
    known = sorted((r.began, r.seconds) for r in recordings if r.began is not None)
    apart = (after - start >= _APART * length for (start, length), (after, _) in pairwise(known))
    return len(known) == len(recordings) and all(apart)


def _place(
    recording: Recording, timed: bool
) -> tuple[float, list[tuple[bool, int, str]], int, int]:
    """Returns what recordings are sorted by: the start, else the name, with 2 before 10."""
    start = recording.began if timed and recording.began is not None else 0.0
    return start, natural_key(recording.name), recording.file, recording.part


def _remarks(by_clock: int, by_name: int) -> Iterable[str]:
    """Yields how the recordings of groups with several of them are ordered."""
    if by_clock:
        groups = plural(by_clock, "group")
        yield f"The recordings of {groups} are in the order of their start times."
    if by_name:
        yield (
            f"The recordings of {plural(by_name, 'group')} are in the order of their names, with "
            "2 before 10, because start times are missing or recordings overlap in time. Rename "
            "files whose order in time is another."
        )
