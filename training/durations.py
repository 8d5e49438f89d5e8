"""Durations as people write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field


def seconds(text: object) -> object:
    """Reads a duration: 90, "90s", "10m", "1h30m", "2d" (seconds, minutes, hours, days)."""
    if not isinstance(text, str) or not text:
        return text
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not match:
        raise ValueError("a duration looks like 90s, 10m or 1h30m")
    days, hours, minutes, remainder = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + remainder


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
