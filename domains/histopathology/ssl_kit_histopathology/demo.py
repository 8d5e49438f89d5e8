"""The demo: simulated tissue on slides of different stain."""

from __future__ import annotations

import numpy as np

from ssl_kit import Dataset, Image, Index
from ssl_kit.data import tile_key

from .tissue_model import TISSUES, Stain, scan

_SLIDES = 12
_SIDE = 7  # tiles, rows and columns of a slide


class Demo(Dataset):
    """588 tiles, 96 x 96 RGB, of five tissues on twelve slides.

    The images are simulated, not real, and the same each time. A slide is a group and has its own
    stain; tissues lie on it in patches. The position is row and column of the tile.
    """

    channels = ("red", "green", "blue")

    def prepare(self) -> None:
        """Draws the stain of each slide and the tissue of each tile."""
        places = [(row, col) for row in range(_SIDE) for col in range(_SIDE)]
        slides = [f"slide{slide:02d}" for slide in range(_SLIDES)]
        self._stains = [Stain.draw(np.random.default_rng((5, s))) for s in range(_SLIDES)]
        names = sorted(TISSUES)
        maps = [_patches(np.random.default_rng((6, s)), len(names)) for s in range(_SLIDES)]
        self._tissues = [names[tissue] for tissue in np.concatenate(maps).tolist()]
        self.index = Index.build(
            [tile_key(slide, *place) for slide in slides for place in places],
            labels=self._tissues,
            groups=[slide for slide in slides for _ in places],
            positions=places * _SLIDES,
        )

    def read(self, i: int) -> Image:
        """Returns tile i, (96, 96, 3), uint8 RGB."""
        stain = self._stains[i // _SIDE**2]
        return scan(self._tissues[i], stain, np.random.default_rng((7, i)))


def _patches(rng: np.random.Generator, tissues: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Returns the tissue of each tile of a slide: that of the nearest of eight points."""
    points = rng.uniform(0, _SIDE, (8, 2))
    kinds = np.concatenate([rng.permutation(tissues), rng.integers(tissues, size=8 - tissues)])
    tiles = np.indices((_SIDE, _SIDE)).reshape(2, -1).T[:, None] + 0.5
    nearest = np.linalg.norm(tiles - points, axis=2).argmin(axis=1)
    chosen: np.ndarray[tuple[int], np.dtype[np.int64]] = kinds[nearest]
    return chosen
