"""Settings of the augmented views; this module imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..core.config import Config


class ViewsConfig(Config):
    """Changes of the views that the objective asks for."""

    policy: Annotated[
        str,
        Field(description="augmentation policy of the domain in place of 'default'"),
    ] = "default"
    min_area: Annotated[
        float | None,
        Field(
            ge=0.01,
            le=1,
            description="smallest area of a large crop as a share of the image's, 0.01 to 1; the "
            "objective's if not set",
        ),
    ] = None
