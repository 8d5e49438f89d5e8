"""Changes of display, scanner and noise, for any number of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Image
from ssl_kit.data import augment, from_unit, to_unit

_LEVELS = np.arange(256, dtype=np.float32) / 255


def planes(image: Image) -> int:
    """Returns the number of channels with independent noise: 1 if all channels are equal."""
    return 1 if np.array_equal(image[..., :-1], image[..., 1:]) else image.shape[2]


class Symmetries(augment.D4):
    """Some of the eight symmetries of a square, for color images.

    An RGB image whose channels are equal is a radiograph and stays as it is.

    Args:
        elements: Names of the symmetries, as albumentations has them.
    """

    def __init__(
        self, elements: tuple[str, ...] = ("e", "r90", "r180", "r270", "v", "hvt", "h", "t")
    ) -> None:
        super().__init__(p=1)
        self.elements = elements

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draws a symmetry."""
        gray = planes(data["image"]) == 1
        return {"group_element": "e" if gray else self.py_random.choice(self.elements)}


class Elastic(augment.ElasticTransform):  # type: ignore[misc]
    """Elastic deformation; points stay, because the mean displacement is zero."""

    def apply_to_keypoints(self, keypoints: NDArray[Any], **params: Any) -> NDArray[Any]:
        """Returns the points; albumentations drops those outside of the crop."""
        return keypoints


class Tone(augment.ImageTransform):
    """Changes window and display curve: x -> ((x - low) / (high - low))^gamma.

    Args:
        ends: Largest shift of black and of white, as a share of the range.
        gamma: Largest |log gamma|.
        p: Probability of the transform.
    """

    def __init__(self, ends: float = 0.15, gamma: float = 0.4, p: float = 0.8) -> None:
        super().__init__(p=p)
        self.ends, self.gamma = ends, gamma

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws black, white and gamma."""
        draw = self.py_random.uniform
        ends = draw(-self.ends, self.ends), 1 + draw(-self.ends, self.ends)
        return {"low": ends[0], "high": ends[1], "gamma": np.exp(draw(-self.gamma, self.gamma))}

    def apply(self, img: Image, low: float, high: float, gamma: float, **params: Any) -> Image:
        """Maps the values, uint8 by a table."""
        unit = _LEVELS if img.dtype == np.uint8 else img
        mapped = (((unit - np.float32(low)) / np.float32(high - low)).clip(0, 1)) ** np.float32(
            gamma
        )
        return np.rint(255 * mapped).astype(np.uint8)[img] if img.dtype == np.uint8 else mapped


class BiasField(augment.ImageTransform):
    """Multiplies by exp(polynomial), as coil sensitivity, heel effect and vignetting do.

    Args:
        strength: Largest |log factor|.
        order: Order of the polynomial.
        p: Probability of the transform.
    """

    def __init__(self, strength: float = 0.4, order: int = 3, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.strength, self.order = strength, order

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the coefficients of x^i y^j with 0 < i + j <= order, and the strength."""
        size = self.order + 1
        coefficients = self.random_generator.uniform(-1, 1, (size, size))
        i, j = np.indices((size, size))
        coefficients[(i + j > self.order) | (i + j == 0)] = 0
        return {"coefficients": coefficients, "strength": self.py_random.uniform(0, self.strength)}

    def apply(
        self, img: Image, coefficients: NDArray[np.float64], strength: float, **params: Any
    ) -> Image:
        """Multiplies all channels by the field."""
        field = bias_field(coefficients, img.shape[:2], strength)
        return from_unit(to_unit(img) * field[..., None], img)


def bias_field(
    coefficients: NDArray[np.float64], shape: tuple[int, ...], largest: float
) -> NDArray[np.float32]:
    """Returns exp(f), (H, W), with f a polynomial of zero mean whose largest magnitude is given."""
    y, x = (np.linspace(-1, 1, length) if length > 1 else np.zeros(1) for length in shape)
    f = np.polynomial.polynomial.polygrid2d(y, x, coefficients)
    f = f - f.mean()
    field: NDArray[np.float32] = np.exp(f * (largest / max(np.abs(f).max(), 1e-12)))
    return field.astype(np.float32)


class RicianNoise(augment.ImageTransform):
    """Noise of a magnitude image, |x + n1 + i n2|, which is Gaussian at a high signal.

    Gudbjartsson and Patz 1995, https://doi.org/10.1002/mrm.1910340618.

    Args:
        highest: Largest standard deviation of n1 and n2, as a share of the range.
        p: Probability of the transform.
    """

    def __init__(self, highest: float = 0.06, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.highest = highest

    def draw(self, image: Image) -> dict[str, Any]:
        """Draws the noise of both parts, the same in all channels of a gray image."""
        return self._noise(image, self.py_random.uniform(0, self.highest))

    def _noise(self, image: Image, sigma: float) -> dict[str, Any]:
        shape = (2, *image.shape[:2], planes(image))
        drawn = self.random_generator.standard_normal(shape, dtype=np.float32)
        return {"noise": drawn * np.float32(sigma)}

    def apply(self, img: Image, noise: NDArray[np.float32], **params: Any) -> Image:
        """Adds the noise to both parts and takes the magnitude.

        cv2.magnitude rounds by where an array lies in memory; a view has to depend on its seed
        alone.
        """
        return from_unit(np.sqrt((to_unit(img) + noise[0]) ** 2 + noise[1] ** 2), img)
