"""Durations as people write them, and numbers of epochs."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer


def seconds(text: object) -> object:
    """Reads a duration: 90, "90s", "10m", "1h30m", "2d" (seconds, minutes, hours, days)."""
    if not isinstance(text, str) or not text:
        return text
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not match:
        raise ValueError("a duration looks like 90s, 10m or 1h30m")
    days, hours, minutes, remainder = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + remainder


def whole(epochs: float) -> float:
    """Returns whole numbers as such, so that 10 epochs are not written as 10.0."""
    return int(epochs) if float(epochs).is_integer() else epochs


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Epochs = Annotated[
    float, AfterValidator(whole), PlainSerializer(whole, return_type=Any), Field(gt=0)
]
