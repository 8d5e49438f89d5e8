"""The demo: simulated land as a four-band satellite camera records it."""

from __future__ import annotations

import cv2
import numpy as np

from ssl_kit import Dataset, Image, Index
from ssl_kit.data import grid, tile_key, tile_starts

from .scenes import BANDS, LAND_COVERS, SIZE, Map

_PER_CLASS = 10  # places
_DATES = ("20200115", "20200715")
_TILE = 64
_PIXEL = 10.0  # meters
_APART = 5000.0  # meters from place to place
_MICROMETERS = np.array([0.490, 0.560, 0.665, 0.842])


def observe(reflectance: Map, rng: np.random.Generator) -> Image:
    """Returns what a push-broom camera, looking straight down, records of a surface.

    Sunlight is dimmed by the air on both ways and by the sine of its elevation; air adds light of
    its own, most at short wavelengths; optics blur; photons and electronics add noise.

    Args:
        reflectance: (H, W, 4) in [0, 1].
        rng: Draws sun, air and camera.

    Returns:
        (H, W, 4) uint8.
    """
    sun = np.sin(np.radians(rng.uniform(25, 70)))
    rayleigh = 0.00857 * _MICROMETERS**-4  # optical depth; Hansen and Travis 1974, leading term
    aerosol = rng.uniform(0.03, 0.35) * _MICROMETERS**-1.3  # Angstrom's law
    through = np.exp(-(0.5 * rayleigh + 0.2 * aerosol) * (1 / sun + 1))  # scattered ahead is kept
    path = (0.75 * rayleigh / 4 + 0.08 * aerosol) / 1.0  # single scattering, reflectance units
    radiance = sun * through * reflectance + path * np.sqrt(sun)
    radiance = cv2.GaussianBlur(radiance.astype(np.float32), (0, 0), rng.uniform(0.4, 0.8))
    full = rng.uniform(0.3, 0.55) * np.exp(rng.uniform(-0.1, 0.1, 4))  # exposure, calibration
    photons = 4000 * np.clip(radiance / full, 0, None)  # a well of 4,000 electrons: a noisy camera
    noisy = photons + np.sqrt(photons + 30.0**2) * rng.standard_normal(photons.shape, np.float32)
    image: Image = np.clip(noisy * (255 / 4000), 0, 255).astype(np.uint8)
    return image


class Demo(Dataset):
    """480 tiles, 64x64, blue, green, red and near infrared, six land covers, four tiles a scene.

    The images are simulated, not real, and the same each time. The land covers share their
    materials, and season, sun and haze vary from place to place, so that color alone does not tell
    the covers apart. Each place is recorded on two dates with the same land and another sun, haze
    and camera. A place is a group.
    """

    channels = BANDS

    def prepare(self) -> None:
        """Names the tiles of all places on both dates."""
        starts = tile_starts(SIZE, _TILE, _TILE)
        self._corners = grid(starts, starts)
        self._scenes: dict[int, Image] = {}
        covers = sorted(LAND_COVERS)
        places = np.arange(_PER_CLASS * len(covers))
        scenes = [(place, date) for date in _DATES for place in places.tolist()]
        tiles = [(place, date, *tile) for place, date in scenes for tile in self._corners.tolist()]
        self.index = Index.build(
            [tile_key(f"place{place:02d}_{date}", row, col) for place, date, row, col in tiles],
            labels=[covers[place % len(covers)] for place, _, _, _ in tiles],
            groups=[f"place{place:02d}" for place, _, _, _ in tiles],
            positions=np.array([_position(place, row, col) for place, _, row, col in tiles]),
        )

    def read(self, i: int) -> Image:
        """Returns tile i, (64, 64, 4) uint8."""
        scene, tile = divmod(i, len(self._corners))
        if scene not in self._scenes:
            date, place = divmod(scene, _PER_CLASS * len(LAND_COVERS))
            rng = np.random.default_rng((7, place))
            cover = sorted(LAND_COVERS)[place % len(LAND_COVERS)]
            reflectance = LAND_COVERS[cover](rng)
            rng = np.random.default_rng((7, place, date)) if date else rng
            self._scenes[scene] = observe(reflectance, rng)
        row, col = self._corners[tile].tolist()
        return self._scenes[scene][row : row + _TILE, col : col + _TILE]


def _position(place: int, row: int, col: int) -> tuple[float, ...]:
    """Returns what `geotiff` says of a tile, for places on a flat map."""
    down, right = row + _TILE / 2, col + _TILE / 2
    east, north = place % 10 * _APART + right * _PIXEL, place // 10 * _APART - down * _PIXEL
    return (down, right, east, north, 0, _TILE * _PIXEL, 1.5 * _TILE * _PIXEL)
