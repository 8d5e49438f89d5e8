"""Intervals of subjects with a label, from a CSV file."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from ssl_kit import UsageError

from .source_base import Note

_COLUMNS = ("subject", "start", "end", "label")


def matched(subjects: Collection[str], names: Collection[str]) -> dict[str, str]:
    """Returns the name that a table has for a subject, for all subjects that it has.

    Names are compared regardless of case, blanks, "_", "-" and a leading word "subject". Where
    several subjects or several names are then equal, only an equal spelling counts.

    Args:
        subjects: Subjects of the data.
        names: Subjects of the table.
    """
    of_data, of_table = (Counter(map(_plain, each)) for each in (subjects, names))
    known = {_plain(name): name for name in names}
    found = {}
    for subject in subjects:
        plain = _plain(subject)
        if subject in names:
            found[subject] = subject
        elif of_data[plain] == of_table[plain] == 1:
            found[subject] = known[plain]
    return found


def _plain(name: str) -> str:
    letters = re.sub(r"[\s_-]", "", name.casefold())
    return letters.removeprefix("subject") or letters


def read_intervals(table: Path) -> dict[str, list[Note]]:
    """Reads a CSV of subject, start, end, label in any case; the times are Unix seconds.

    Raises:
        UsageError: If it is missing or no such table.
    """
    if not table.exists():
        raise UsageError(f"data.options.intervals '{table}' does not exist.")
    intervals: dict[str, list[Note]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            for row in reader:
                subject, start, end, label = (row[name].strip() for name in _COLUMNS)
                intervals.setdefault(subject, []).append(Note(float(start), float(end), label))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, KeyError, AttributeError):
        raise UsageError(
            f"data.options.intervals '{table}' is no CSV with the columns {', '.join(_COLUMNS)}, "
            "times in Unix seconds."
        ) from None
    return intervals
