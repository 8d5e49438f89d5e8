"""Unreadable images: each is listed once, and too many stop the run."""

from __future__ import annotations

from ..core.errors import RunError
from ..data.loader import Skipped
from ..data.skipped import too_many
from .run import Run


class Skips:
    """Lists unreadable images in `skipped.jsonl`.

    Args:
        run: The folder.
        images: Number of images that are trained on.
        share: Share of them that may be unreadable.

    Attributes:
        keys: The unreadable images so far, those before a resume included.
    """

    def __init__(self, run: Run, images: int, share: float) -> None:
        self._run, self._images, self._share = run, images, share
        self.keys = {line["key"] for line in run.lines(run.skipped)}

    def note(self, skipped: Skipped) -> None:
        """Lists the images that are not listed yet.

        Raises:
            RunError: If there are too many.
        """
        for key, reason in skipped:
            if key not in self.keys:
                self.keys.add(key)
                self._run.append(self._run.skipped, {"key": key, "reason": reason})
        if skipped and len(self.keys) > self._share * self._images:
            counts = len(self.keys), self._images, self._share
            listed = str(self._run.skipped)
            raise RunError(too_many(*counts, skipped[0], "--max-skip", listed))
