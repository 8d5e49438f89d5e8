"""Results as Python objects that print as the command line prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.side_by_side import SideBySide
from .text import evaluation, evaluation_json

_NO_NAMES: Mapping[int, str] = {}


class Evaluations(dict[str, SideBySide]):
    """Results by name of the evaluation; printed, they are a table.

    Args:
        results: One for each evaluation.
        shared: Number of test groups that were pre-trained on.
        data: Of the labeled images: path, fingerprint and domain.
        names: Names of groups by their number, which are printed and nowhere written.
    """

    def __init__(
        self,
        results: Sequence[SideBySide],
        shared: int,
        data: Mapping[str, str],
        names: Mapping[int, str] = _NO_NAMES,
    ) -> None:
        super().__init__({result.evaluation: result for result in results})
        self.shared, self.data, self._names = shared, data, names

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {"data": dict(self.data)} | evaluation_json([*self.values()], self.shared)

    def __repr__(self) -> str:
        images = self.data["path"] or f"the demo images of {self.data['domain']}"
        return f"Images: {images}\n{evaluation([*self.values()], self.shared, self._names)}"


class Record(dict[str, Any]):
    """The content of a JSON file that was written; printed, it is a text.

    Args:
        values: Plain values.
        folder: Where the file is.
        text: What is printed.
    """

    def __init__(self, values: Mapping[str, Any], folder: Path, text: str) -> None:
        super().__init__(values)
        self.folder, self._text = folder, text

    def __repr__(self) -> str:
        return self._text
