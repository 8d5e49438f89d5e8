"""The demo: chips of simulated vehicles, as a radar with synthetic aperture records them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Index

from .images import SarImages
from .targets import VEHICLES, build, record

_EACH = 12  # vehicles of a kind
_CHIPS = 8  # of a vehicle, from all around


class Demo(SarImages):
    """480 chips, 64 x 64, of five kinds of vehicle, complex before they are detected.

    The images are simulated, not real, and the same each time. A group is one vehicle. The position
    of a chip in its group is (cos, sin) of its azimuth.
    """

    def prepare(self) -> None:
        """Names the chips."""
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

    @staticmethod
    def _azimuth(i: int) -> float:
        """Returns the azimuth of chip i in radians: evenly spaced, from a random start."""
        start = np.random.default_rng((8, i // _CHIPS)).random()
        return float(2 * np.pi * (start + i % _CHIPS) / _CHIPS)

    def signal(self, i: int) -> NDArray[Any]:
        """Returns chip i, (64, 64, 1) complex."""
        vehicle, rng = i // _CHIPS, np.random.default_rng((9, i))
        kind = sorted(VEHICLES)[vehicle // _EACH]
        built = build(kind, np.random.default_rng((7, vehicle)))
        depression = np.radians(rng.uniform(15, 19))
        return record(built, self._azimuth(i), depression, rng)[..., None]
