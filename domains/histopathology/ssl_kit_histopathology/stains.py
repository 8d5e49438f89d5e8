"""Stains by the law of absorption: optical densities add up, intensities multiply.

A pixel's optical density is -ln(I / I0) in each of red, green and blue, and that is the sum over
the stains of concentration times the stain's vector (Beer and Lambert). A linear map of
concentrations is one 3 x 3 matrix in optical density, so it costs a table, a product and an
exponential for each image.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl_kit import Image

Floats = NDArray[np.float64]

HED: Floats = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""(3, 3): rows are hematoxylin, eosin and DAB, columns optical density in red, green and blue.

Ruifrok and Johnston 2001, "Quantification of histochemical staining by color deconvolution"."""
UNMIX: Floats = np.linalg.inv(HED).astype(np.float64)

_TABLE = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
_CLEAR = 0.15  # mean optical density below which a pixel is glass, and not tissue
_FITTED_ON = 10_000  # pixels
_FEWEST = 100  # pixels of tissue that are needed

# mitkovetta/staining-normalization on GitHub, the code by which Macenko's method is known.
_MACENKO_STAINS: Floats = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
_MACENKO_TOP: Floats = np.array([1.9705, 1.0308])
_MACENKO_GLASS = math.log(255 / 240)  # optical density of the glass, I0 = 240

# HistomicsTK: Ruderman's l alpha beta, and the statistics of TCGA-A2-A3XS-DX1 in it.
_LMS: Floats = np.array(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]
)
_LAB: Floats = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])
_REINHARD_MEAN: Floats = np.array([8.74108109, -0.12440419, 0.0444982])
_REINHARD_STD: Floats = np.array([0.6135447, 0.10989545, 0.0286032])


def optical_density(image: Image) -> NDArray[np.float32]:
    """Returns -ln(I / I0) of RGB (H, W, 3), uint8 or float32 in [0, 1]; black is 1 / 255."""
    if image.dtype == np.uint8:
        return np.asarray(cv2.LUT(image, _TABLE))
    return -np.log(np.maximum(image, np.float32(1 / 255)))


def mix_densities(image: Image, matrix: Floats, offset: Floats) -> Image:
    """Returns an image (H, W, 3) of the same type whose densities are d @ matrix + offset.

    Args:
        image: RGB, uint8 or float32 in [0, 1].
        matrix: (3, 3).
        offset: (3,).
    """
    densities = optical_density(image)
    top = math.log(255) if image.dtype == np.uint8 else 0.0
    affine = np.column_stack([-matrix.T, top - offset]).astype(np.float32)
    return _like(cv2.exp(cv2.transform(densities, affine)), image)


def _like(values: Image, image: Image) -> Image:
    """Returns values of the range of an image, clipped, in its type."""
    if image.dtype == np.uint8:
        return np.asarray(cv2.convertScaleAbs(values))  # rounds and saturates
    return np.minimum(values, np.float32(1))


def jitter(image: Image, alpha: ArrayLike, beta: ArrayLike) -> Image:
    """Changes each concentration c of hematoxylin, eosin and DAB to alpha c + beta.

    Tellez et al. 2018, https://arxiv.org/abs/1808.05896. Negative concentrations are kept, so
    that alpha 1 and beta 0 change nothing.

    Args:
        image: RGB, uint8 or float32 in [0, 1].
        alpha: (3,).
        beta: (3,), in units of optical density (natural logarithm).
    """
    alpha, beta = np.asarray(alpha, float), np.asarray(beta, float)
    return mix_densities(image, UNMIX @ (alpha[:, None] * HED), beta @ HED)


def macenko(image: Image, reference_pixels: Image | None = None) -> Image:
    """Normalizes both stains and their strengths to the published reference.

    Macenko et al. 2009, https://doi.org/10.1109/ISBI.2009.5193250. The 99th percentile of each
    stain's concentration becomes that of the reference. With hardly any tissue, or one color only,
    the image is returned as it is.

    Args:
        image: RGB, uint8 or float32 in [0, 1].
        reference_pixels: (h, w, 3) pixels of the same slide, on which the stains are estimated;
            those of the image if left out. One tile may lack one of the stains.
    """
    densities = (
        _thinned(optical_density(image if reference_pixels is None else reference_pixels))
        - _MACENKO_GLASS
    )
    stains = macenko_stains(densities)
    if stains is None:
        return image
    amounts = np.linalg.pinv(stains)  # densities @ amounts are concentrations
    top = np.percentile(densities @ amounts, 99, axis=0)
    if (top <= 0).any():
        return image
    matrix = amounts @ ((_MACENKO_TOP / top)[:, None] * _MACENKO_STAINS)
    glass = np.full(3, _MACENKO_GLASS)
    return mix_densities(image, matrix, glass - glass @ matrix)


def macenko_stains(densities: Floats) -> Floats | None:
    """Estimates unit vectors of hematoxylin and eosin, (2, 3), from densities (n, 3), or None.

    In the plane of the two largest eigenvectors of the tissue, they are the directions at the 1st
    and 99th percentile of the angle. Hematoxylin is the one with more red.
    """
    tissue = densities[(densities >= _CLEAR).all(axis=1)]
    if len(tissue) < _FEWEST:
        return None
    spread, vectors = np.linalg.eigh(np.cov(tissue.T))
    if spread[1] < 1e-5 * max(spread[2], 1e-5):  # one color only
        return None
    plane = vectors[:, 1:] * np.where(vectors[:, 1:].sum(axis=0) < 0, -1, 1)
    weak, strong = (tissue @ plane).T
    angles = np.percentile(np.arctan2(strong, weak), [1, 99])
    ends: Floats = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane.T
    return ends[np.argsort(-ends[:, 0])]


def reinhard(image: Image, reference_pixels: Image | None = None) -> Image:
    """Normalizes mean and standard deviation of the tissue's l, alpha, beta to a reference.

    Reinhard et al. 2001, https://doi.org/10.1109/38.946629. Glass stays as it is, and so does an
    image with hardly any tissue.

    Args:
        image: RGB, uint8 or float32 in [0, 1].
        reference_pixels: (h, w, 3) pixels for mean and standard deviation; see `macenko`.
    """
    lab, tissue = _l_alpha_beta(image)
    values, stained = (lab, tissue) if reference_pixels is None else _l_alpha_beta(reference_pixels)
    of_tissue = values[stained].astype(np.float64)
    if len(of_tissue) < _FEWEST:
        return image
    gain = _REINHARD_STD / np.maximum(of_tissue.std(axis=0), 1e-3)
    # Back through both matrices, with the gain and the shift of the statistics in between.
    back = np.linalg.inv(_LAB)
    affine = np.column_stack([back * gain, back @ (_REINHARD_MEAN - gain * of_tissue.mean(axis=0))])
    normalized = cv2.transform(cv2.exp(cv2.transform(lab, affine)), np.linalg.inv(_LMS))
    normalized = _like(
        np.maximum(normalized if image.dtype == np.uint8 else normalized / 255, 0), image
    )
    return np.where(tissue[..., None], normalized, image)


def _l_alpha_beta(image: Image) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Returns Ruderman's l, alpha and beta, (H, W, 3), and where there is tissue, (H, W)."""
    levels = image.astype(np.float32) * (1 if image.dtype == np.uint8 else 255)
    lms = cv2.log(cv2.transform(np.maximum(levels, 1), _LMS))
    lab = np.asarray(cv2.transform(lms, _LAB), np.float32)
    return lab, optical_density(image).mean(axis=2) > _CLEAR


def _thinned(densities: NDArray[np.float32]) -> Floats:
    """Returns some of the pixels, (n, 3)."""
    flat = densities.reshape(-1, 3)
    return flat[:: max(1, len(flat) // _FITTED_ON)].astype(np.float64)
