"""Tables of text, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _GAP = 80, "  "


def aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lays rows of cells out as lines of text with aligned columns; rows may be short."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = _widths(texts)
    lines = (_GAP.join(c.ljust(w) for c, w in zip(row, widths, strict=False)) for row in texts)
    return [line.rstrip() for line in lines]


def in_blocks(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lays out a table of at most 80 characters in width.

    Columns that do not fit follow below, beside the first column again, after an empty line.
    """
    texts = [[str(cell) for cell in row] for row in rows]
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
        lines += [*([""] if lines else []), *aligned(part)]
    return lines


def _widths(texts: Sequence[Sequence[str]]) -> list[int]:
    """Returns the number of characters of the widest cell of each column."""
    columns = range(max(map(len, texts), default=0))
    return [max(len(row[i]) for row in texts if len(row) > i) for i in columns]
