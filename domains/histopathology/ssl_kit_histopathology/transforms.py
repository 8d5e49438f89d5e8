"""Augmentations of stained tissue: changes of staining, cutting and scanning."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image
from ssl_kit.data import augment

from .stains import jitter, macenko, reinhard


class StainJitter(augment.ImageTransform):
    """Changes the concentrations c of hematoxylin, eosin and DAB to alpha c + beta.

    Tellez et al. 2018, https://arxiv.org/abs/1808.05896, with the strength called HED-strong in
    https://arxiv.org/abs/1902.06543, whose beta is in other units. For RGB.

    Args:
        scale: alpha is within 1 - scale and 1 + scale.
        shift: beta is within -shift and shift, in units of optical density.
        p: Probability of the transform.
    """

    def __init__(self, scale: float = 0.2, shift: float = 0.05, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.scale, self.shift = scale, shift

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws alpha and beta."""
        drawn = self.random_generator.uniform(-1, 1, (2, 3))
        return {"alpha": 1 + self.scale * drawn[0], "beta": self.shift * drawn[1]}

    def apply(
        self, img: Image, alpha: NDArray[np.float64], beta: NDArray[np.float64], **params: Any
    ) -> Image:
        """Changes the concentrations."""
        return jitter(img, alpha, beta)


class Macenko(augment.ImageTransform):
    """Stain normalization by Macenko's method, for RGB; see `stains.macenko`."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Brings the stains to the reference."""
        return macenko(img)


class Reinhard(augment.ImageTransform):
    """Color normalization by Reinhard's method, for RGB; see `stains.reinhard`."""

    def apply(self, img: Image, **params: Any) -> Image:
        """Brings the colors to the reference."""
        return reinhard(img)


class Bend(augment.ElasticTransform):  # type: ignore[misc]
    """Elastic deformation of a section, as by cutting and mounting.

    albumentations smooths a displacement of each pixel. Resizing the displacement of a few points
    gives the same at a fraction of the cost. The mean displacement is zero, so points stay.

    Args:
        strength: Standard deviation of the displacement of the points, as a share of the side; that
            of the whole, which is interpolated, is about 13 % smaller.
        p: Probability of the transform.
    """

    def __init__(self, strength: float = 0.015, p: float = 0.3) -> None:
        super().__init__(border_mode=cv2.BORDER_REFLECT_101, p=p)
        self.strength = strength

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draws the displacement of 5 x 5 points."""
        height, width = params["shape"][:2]
        drawn = self.random_generator.standard_normal((5, 5, 2), dtype=np.float32)
        drawn -= drawn.mean(axis=(0, 1))
        field = cv2.resize(
            drawn * np.float32(self.strength), (width, height), interpolation=cv2.INTER_CUBIC
        )
        map_x = np.arange(width, dtype=np.float32) + field[..., 0] * width
        map_y = np.arange(height, dtype=np.float32)[:, None] + field[..., 1] * height
        return {"map_x": map_x, "map_y": map_y}

    def apply_to_keypoints(self, keypoints: NDArray[Any], **params: Any) -> NDArray[Any]:
        """Returns the points; albumentations drops those outside of the crop."""
        return keypoints
