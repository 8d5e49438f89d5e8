"""Refuses numbers that are not finite, before a metric or a measure is computed from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RunError


class NotFiniteError(RunError):
    """Features or predictions are NaN or infinite."""


def require_finite(values: NDArray[Any], what: str) -> None:
    """Refuses NaN and infinite numbers, which comparisons and sorting treat in arbitrary ways.

    Args:
        values: (n, ...) numbers of any type.
        what: What the n rows are, in the plural, for the message.

    Raises:
        NotFiniteError: If a row is not finite.
    """
    finite = np.isfinite(values).all(axis=tuple(range(1, np.ndim(values))))
    if not finite.all():
        count = len(finite) - np.count_nonzero(finite)
        raise NotFiniteError(
            f"{count} of {len(finite)} {what} are NaN or infinite. Check the weights of the model "
            "and the values of the images."
        )


@contextmanager
def told_where(place: str) -> Iterator[None]:
    """Puts the place in front of the message of a `NotFiniteError`."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(f"{place}: {error}") from error
