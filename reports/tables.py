"""Tables of text, for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WIDTH, _GAP = 80, "  "
_HEAD, _FIRST = 20, 42  # characters of a heading, and of the first column, before they are folded
# A word with the marks behind it, or with the brackets that open before it.
_PIECE = re.compile(r"[(\[]*[^\W_]+(?:(?![(\[])[\W_])*|[\W_]+")


def aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lays rows of cells out as lines of text with aligned columns; rows may be short."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = _widths(texts)
    lines = (_GAP.join(c.ljust(w) for c, w in zip(row, widths, strict=False)) for row in texts)
    return [line.rstrip() for line in lines]


def in_blocks(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lays out a table of at most 80 characters in width.

    Long headings, and long cells of the first column, are folded. Columns that do not fit follow
    below, beside the first column again, after an empty line.
    """
    texts = _folded([[str(cell) for cell in row] for row in rows])
    first, *widths = _widths(texts) or [0]
    blocks: list[list[int]] = [[]]
    used = first
    for column, width in enumerate(widths, start=1):
        used += len(_GAP) + width
        if blocks[-1] and used > _WIDTH:
            blocks.append([])
            used = first + len(_GAP) + width
        blocks[-1].append(column)
    lines: list[str] = []
    for block in blocks:
        part = [[row[i] for i in (0, *block) if i < len(row)] for row in texts]
        shown = [row for row in part if any(row)]  # of headings that others have more lines of
        lines += [*([""] if lines else []), *aligned(shown)]
    return lines


def _folded(texts: list[list[str]]) -> list[list[str]]:
    """Folds the headings to the widths of their columns, and the first column; none is cut."""
    widths = _widths(texts[1:])
    most = [_FIRST, *(max(_HEAD, width) for width in widths[1:])]
    most += [_HEAD] * (len(texts[0]) - len(most)) if texts else []
    lines: list[list[str]] = []
    for number, row in enumerate(texts):
        cells = [
            fold(cell, width) if number == 0 or column == 0 else [cell]
            for column, (cell, width) in enumerate(zip(row, most, strict=False))
        ]
        for line in range(max(map(len, cells), default=0)):
            lines.append([cell[line] if line < len(cell) else "" for cell in cells])
    return lines


def fold(text: str, width: int) -> list[str]:
    """Breaks a text into lines, behind blanks and marks where it has some.

    Args:
        text: A name; its blanks at the start stay.
        width: Characters of a line, at least 1.
    """
    lines = [""]
    pieces = [p[i : i + width] for p in _PIECE.findall(text) for i in range(0, len(p), width)]
    for piece in pieces:
        fits = len(lines[-1]) + len(piece.rstrip()) <= width
        lines = [*lines[:-1], lines[-1] + piece] if fits else [*lines, piece]
    return [line.rstrip() for line in lines]


def _widths(texts: Sequence[Sequence[str]]) -> list[int]:
    """Returns the number of characters of the widest cell of each column."""
    columns = range(max(map(len, texts), default=0))
    return [max(len(row[i]) for row in texts if len(row) > i) for i in columns]
