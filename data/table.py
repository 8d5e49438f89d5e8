"""Reads a table of labels as text: its encoding, its separator, its header and its lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ..core.errors import UsageError

_NAMES = {
    "path": "path file filename filepath image imagepath imagename imagefile img imageid",
    "label": "label class target classname category diagnosis labels classes tags",
    "group": "group groupid patient patientid subject subjectid participant "
    "participantid case caseid slide slideid scene sceneid",
    "split": "split set fold subset partition",
}
COLUMNS = {kind: tuple(names.split()) for kind, names in _NAMES.items()}
"""Names of columns, in lower case and without blanks, `_` and `-`; earlier ones win."""

MAY_BE_GROUPS = "may be the groups, and is not used"
"""Stands in the remark on a column that looks like a patient; `--strict` refuses such a table."""

_ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_GROUP_LIKE = re.compile(
    r"(patient|subject|participant|person|case|donor|slide|study)(s?|id|uid|no|nr|number|name|code|key)$"
)
_SPREADSHEETS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods; .xls


@dataclass
class Table:
    """A table as it was read: its header, its lines, and how it was read.

    Attributes:
        path: The file.
        header: Names of the columns.
        lines: Cells of each line, as many as the header has or more.
        remarks: What was assumed, one sentence each.
    """

    path: Path
    header: list[str]
    lines: list[list[str]]
    remarks: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the columns in lower case, without blanks and marks."""
        return [re.sub(r"[\W_]+", "", name.lower()) for name in self.header]

    def coordinates(self, line: Sequence[str]) -> tuple[str, str] | None:
        """Returns x and y of a line that labels a part of a file, None if it labels all of it."""
        if not {"x", "y"} <= set(self.names):
            return None
        x, y = (line[self.names.index(name)].strip() for name in "xy")
        return (x, y) if x or y else None

    def column(self, kind: str) -> int | None:
        """Returns the number of the column of a kind, None if there is none."""
        names = self.names
        there = [name for name in COLUMNS[kind] if name in names]
        if len(there) > 1:
            written = [self.header[names.index(name)].strip() for name in there]
            self.remarks.append(
                f"'{self.path.name}' has the columns {' and '.join(written)}; '{written[0]}' is "
                f"taken for the {kind}."
            )
        return names.index(there[0]) if there else None

    def name_unused(self, used: Sequence[int | None]) -> None:
        """Remarks on the columns that are not used, and on those that may be misspelled."""
        known = {name: kind for kind, names in COLUMNS.items() for name in names}
        kinds = {known.get(self.names[i]) for i in used if i is not None}
        unused = []
        for i, name in enumerate(self.names):
            if i in used or name in ("", "x", "y") or re.fullmatch(r"unnamed\d+", name):
                continue
            close = get_close_matches(name, known, n=1, cutoff=0.8) if name not in known else []
            meant = known[close[0]] if close else ""
            slip = meant == "group" and not name.startswith(close[0])  # unlike patient_age
            if "group" not in kinds and (slip or _GROUP_LIKE.search(name)):
                self.remarks.append(
                    f"The column '{self.header[i].strip()}' of '{self.path.name}' {MAY_BE_GROUPS}. "
                    "If it names patients, slides or the like, call it group."
                )
            elif meant and meant not in kinds:
                self.remarks.append(
                    f"The column '{self.header[i].strip()}' of '{self.path.name}' is not used. "
                    f"Did you mean '{close[0]}'?"
                )
            else:
                unused.append(self.header[i].strip())
        if unused:
            more = f" and {len(unused) - 5} more" if len(unused) > 5 else ""
            self.remarks.append(
                f"Columns of '{self.path.name}' that are not used: {', '.join(unused[:5])}{more}."
            )


def read_text_table(path: Path) -> Table:
    """Reads a table: commas, semicolons, tabs, bars or blanks; UTF-8, UTF-16 or Latin-1.

    Lines above the header that begin with # do not count, and neither does Excel's "sep=;".

    Raises:
        UsageError: If it cannot be read, or has no line below its header.
    """
    remarks: list[str] = []
    text = _decoded(path, remarks)
    lines = [line for line in text.splitlines() if line.strip()]
    while lines and (lines[0].startswith("#") or re.fullmatch(r'"?sep=.?"?', lines[0].strip())):
        text = text[text.index(lines[0]) + len(lines.pop(0)) :]
    separator = _separator(lines)
    try:
        if separator:
            reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
            rows = [row for row in reader if any(row)]
        else:
            rows = [line.split() for line in lines]
    except csv.Error as error:
        raise UsageError(f"Cannot read the labels '{path}': {error}.") from error
    if len(rows) == 1:
        raise UsageError(f"'{path}' has a header and no rows.")
    if not rows:
        raise UsageError(f"'{path}' needs a header with path, and label, group or split.")
    header, *rest = rows
    rest = [[*row, *[""] * (len(header) - len(row))] for row in rest]
    return Table(path, header, rest, remarks)


def _decoded(path: Path, remarks: list[str]) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read the labels '{path}': {error.strerror}.") from error
    if content.startswith(_SPREADSHEETS):
        raise UsageError(
            f"Cannot read the labels '{path}': it is a spreadsheet. Save it as CSV and give that."
        )
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and 0 in content[:2]:  # a zero beside each letter
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content or content.startswith(b"\x89"):
            raise UsageError(f"Cannot read the labels '{path}': it is no text.") from error
    remarks.append(f"'{path.name}' is no UTF-8; it is read as Latin-1.")
    return content.decode("cp1252", errors="replace")


def _separator(lines: Sequence[str]) -> str:
    """Returns what separates the columns of the header; "" for blanks."""
    header = lines[0] if lines else ""
    separator = max(",;\t|", key=header.count)
    if separator in header:
        return separator
    words = len(header.split())
    return "" if words > 1 and all(len(line.split()) == words for line in lines) else ","
