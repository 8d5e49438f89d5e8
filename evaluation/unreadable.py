"""Images of an evaluation that cannot be read: they are counted, warned of, and not too many."""

from __future__ import annotations

import logging

from ..core.errors import DataError
from ..data.counting import agree, plural
from ..data.loader import Skipped
from ..data.skipped import too_many

_log = logging.getLogger("ssl_kit")


class Unreadable:
    """The unreadable images that all encoders and parts of an evaluation have met so far."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._told = 0

    @property
    def has_untold(self) -> bool:
        """Whether there are images that no warning has counted yet."""
        return len(self._reasons) > self._told

    def note(self, skipped: Skipped, images: int, share: float | None, tell: bool) -> None:
        """Counts images that were not counted before.

        Args:
            skipped: Name of each unreadable image, and the reason; images may be repeated.
            images: Number of images that are evaluated on.
            share: Share of them that may be unreadable; None for any.
            tell: Whether to warn now of those that no warning has counted yet.

        Raises:
            DataError: If there are too many.
        """
        for key, reason in skipped:
            self._reasons.setdefault(key, reason)
        if not self.has_untold:
            return
        count, first = len(self._reasons), next(iter(self._reasons.items()))
        if share is not None and count > share * images:
            raise DataError(too_many(count, images, share, first, "data.max_skip"))
        if tell:
            self._told = count
            is_or_are = agree(count, "is unreadable and", "are unreadable and are")
            key, reason = first[0], first[1].rstrip(".")
            text = "%d of %s %s left out; the first: '%s': %s."
            _log.warning(text, count, plural(images, "image"), is_or_are, key, reason)
