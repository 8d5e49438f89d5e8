"""Scenes whose polarizations are in several files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError

from .sources import Source


class JoinedSource(Source):
    """Files of one scene, one for each polarization."""

    def __init__(self, sources: Sequence[Source], polarizations: Sequence[str]) -> None:
        first = sources[0]
        for other in sources[1:]:
            if (other.height, other.width) != (first.height, first.width):
                raise DataError(
                    f"has {first.height} x {first.width} pixels, and the file of another "
                    f"polarization {other.height} x {other.width}"
                )
            if other.kind != first.kind:
                raise DataError(f"is {first.kind}, another polarization of it {other.kind}")
        self._sources = sources
        self.height, self.width, self.dtype = first.height, first.width, first.dtype
        self.has_phase, self.calibrated = first.has_phase, first.calibrated
        self.names = tuple(
            name if len(first.names) == 1 else f"{name}_{band}"
            for source, name in zip(sources, polarizations, strict=True)
            for band in source.names
        )
        self.hints = tuple(hint for source in sources for hint in source.hints)
        self.left_out, self.has_alpha = first.left_out, any(s.has_alpha for s in sources)
        self.decoding = first.decoding
        self.scales = tuple(s for source in sources for s in _each(source, source.scales))
        self.offsets = tuple(s for source in sources for s in _each(source, source.offsets))

    def stored(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Reads a window of all files."""
        parts = [source.stored(top, left, height, width) for source in self._sources]
        missing = [np.zeros(data.shape, bool) if gone is None else gone for data, gone in parts]
        return np.concatenate([data for data, _ in parts], 2), np.concatenate(missing, 2)

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Reads a window of all files."""
        parts = [source.read(top, left, height, width) for source in self._sources]
        return np.concatenate(parts, axis=2)


def _each(source: Source, numbers: tuple[float, ...]) -> tuple[float, ...]:
    return numbers if len(numbers) == len(source.names) else numbers * len(source.names)
