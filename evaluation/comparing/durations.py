"""How long the results of a comparison take, from those that were measured."""

from __future__ import annotations

from collections.abc import Sequence

from .plan import Cell


class Durations:
    """Expects of each result the mean duration of those like it.

    These have the same evaluation and budget, else the same evaluation, else any.

    Args:
        asked: Name of the evaluation that was asked for.
    """

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._seconds: dict[tuple[str, ...], list[float]] = {}

    def add(self, cell: Cell, seconds: float) -> None:
        """Notes how long a result took."""
        for kind in self._kinds(cell):
            self._seconds.setdefault(kind, []).append(seconds)

    def expected(self, cells: Sequence[Cell]) -> float | None:
        """Returns the seconds that results will take; None if none was measured."""
        if not self._seconds:
            return None
        return sum(self._one(cell) for cell in cells)

    def _one(self, cell: Cell) -> float:
        seconds = next(s for kind in self._kinds(cell) if (s := self._seconds.get(kind)))
        return sum(seconds) / len(seconds)

    def _kinds(self, cell: Cell) -> list[tuple[str, ...]]:
        evaluation = cell.arm.evaluation_name(self._asked)
        return [(evaluation, cell.budget), (evaluation,), ()]
