"""A dataset that needs no files: what a radar would record of made-up vehicles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_kit import Index

from .images import SarConfig, SarImages
from .targets import VEHICLES, build, record

_EACH = 12  # vehicles of a kind
_CHIPS = 8  # of a vehicle, from all around


class Demo(SarImages):
    """480 chips, 64 x 64, of five kinds of vehicle, complex before they are detected.

    Generated, not real: the same each time, made when first read. A group is one vehicle; its
    position in the group is (cos, sin) of its azimuth.
    """

    Config = SarConfig

    def __init__(self, options: SarConfig, value_range: ArrayLike | None = None) -> None:
        super().__init__(options, value_range)
        kinds = sorted(VEHICLES)
        vehicles = [f"{kind}{number:02d}" for kind in kinds for number in range(_EACH)]
        names = [vehicle for vehicle in vehicles for _ in range(_CHIPS)]
        azimuths = [self._azimuth(i) for i in range(len(names))]
        self.index = Index.build(
            [f"{name}/{chip % _CHIPS}" for chip, name in enumerate(names)],
            labels=[name[:-2] for name in names],
            groups=names,
            positions=[(np.cos(azimuth), np.sin(azimuth)) for azimuth in azimuths],
        )
        self.name_channels(("hh",), has_phase=True)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """It opens no path."""
        return False

    @classmethod
    def open(
        cls,
        path: Path,
        options: SarConfig,
        labels: Path | None = None,
        value_range: ArrayLike | None = None,
    ) -> Demo:
        """Sets out the chips; the path is not looked at."""
        return cls(options, value_range)

    @staticmethod
    def _azimuth(i: int) -> float:
        """Returns the azimuth of chip i in radians: all around, each vehicle from another start."""
        start = np.random.default_rng((8, i // _CHIPS)).random()
        return float(2 * np.pi * (start + i % _CHIPS) / _CHIPS)

    def signal(self, i: int) -> NDArray[Any]:
        """Returns chip i, (64, 64, 1) complex."""
        vehicle, rng = i // _CHIPS, np.random.default_rng((9, i))
        kind = sorted(VEHICLES)[vehicle // _EACH]
        built = build(kind, np.random.default_rng((7, vehicle)))
        depression = np.radians(rng.uniform(15, 19))
        return record(built, self._azimuth(i), depression, rng)[..., None]
