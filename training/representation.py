"""Label-free measures of a representation, in float64.

Z is (n, D): one row per image. Z grouped is (n, q, D): q views of each of n images. Conventions
differ between published tools, so each docstring states ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .finite import require_finite


def feature_std(z: Tensor) -> float:
    """Mean over dimensions of the standard deviation of unit-length rows, times sqrt(D).

    1 is healthy, 0 is constant. SimSiam (Chen & He 2021, https://arxiv.org/abs/2011.10566), fig. 2.
    """
    return float(normalize(z, dim=1).std(dim=0, correction=0).mean() * z.shape[1] ** 0.5)


def mean_cosine(z: Tensor) -> float:
    """Mean cosine similarity over all pairs of different rows; 1 is complete collapse."""
    n = len(z)
    mean = normalize(z, dim=1).mean(dim=0)
    return float((n * mean.square().sum() - 1) / (n - 1))


def rankme(z: Tensor, centered: bool = False) -> float:
    """Effective rank exp(-sum p ln p) with p = s / sum(s) + 1e-7, s the singular values.

    Between 1 and min(n, D). RankMe (Garrido et al. 2023, https://arxiv.org/abs/2210.02885), eq. 2
    and 3: not centered. The centered variant removes the mean direction, which can dominate.
    """
    s = torch.linalg.svdvals(z - z.mean(dim=0) if centered else z)
    total = s.sum()
    if total <= 0:
        return 1.0
    p = s / total + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


def alpha_req(z: Tensor) -> tuple[float, float]:
    """Decay of the spectrum: ln(eigenvalue i) = -alpha ln(i) + c, fitted with weights 1 / i.

    The eigenvalues are those of the centered covariance, i from 10 to 100 (from 3 to D / 3 where
    D < 300). alpha near 1 is best; well above 1 few directions carry all. alpha-ReQ (Agrawal et
    al. 2022, https://arxiv.org/abs/2202.05808).

    Returns:
        alpha and the R^2 of the fit; alpha means little below 0.9. (0, 0) if rank is too low.
    """
    centered = z - z.mean(dim=0)
    values = torch.linalg.eigvalsh(centered.T @ centered / len(z)).flip(0)
    first, last = (10, 100) if z.shape[1] >= 300 else (3, z.shape[1] // 3)
    last = min(last, int((values > values[0] * 1e-12).sum()), len(z) - 1)
    if last - first < 2:
        return 0.0, 0.0
    i = torch.arange(first, last + 1, dtype=values.dtype)
    x, y, w = i.log(), values[first - 1 : last].log(), 1 / i
    x_mean, y_mean = (w * x).sum() / w.sum(), (w * y).sum() / w.sum()
    slope = (w * (x - x_mean) * (y - y_mean)).sum() / (w * (x - x_mean) ** 2).sum()
    residual = (w * (y - y_mean - slope * (x - x_mean)) ** 2).sum()
    return float(-slope), float(1 - residual / (w * (y - y_mean) ** 2).sum())


def lidar(z: Tensor, delta: float = 1e-4) -> float:
    """Effective rank of the differences between images, relative to those between their views.

    z is (n, q, D), where the q views of an image stand together.
    S_b and S_w are the scatter between and within images, S_w with delta I added; the value is the
    exponential entropy of the eigenvalues of S_w^-1/2 S_b S_w^-1/2. LiDAR (Thilak et al. 2024,
    https://arxiv.org/abs/2312.04000), eq. 1 and 2. If D > n (q - 1), S_w without delta is singular,
    and the value depends on delta; see `lidar_freedom`. For features so large that delta is lost in
    rounding, it is larger.
    """
    n, q, d = z.shape
    means = z.mean(dim=1)
    between = means - means.mean(dim=0)
    within = (z - means[:, None]).flatten(0, 1)
    s_w = within.T @ within / (n * (q - 1))
    rounding = 10 * torch.finfo(z.dtype).eps * float(s_w.trace())
    s_w += max(delta, rounding) * torch.eye(d, dtype=z.dtype)
    lower = torch.linalg.cholesky(s_w)  # s_w = L L^T; L^-1 S_b L^-T has the same eigenvalues
    whitened = torch.linalg.solve_triangular(lower, between.T, upper=False) / (n - 1) ** 0.5
    p = torch.zeros(d, dtype=z.dtype)  # of D eigenvalues at most n are not 0
    p[: min(n, d)] = torch.linalg.svdvals(whitened).square()
    if p.sum() <= 0:
        return 1.0
    p = p / p.sum() + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


def lidar_freedom(z: Tensor) -> float:
    """Within-image degrees of freedom for each feature, n (q - 1) / D, of z (n, q, D).

    Below 1 the scatter within images is singular, and LiDAR says little.
    """
    n, q, d = z.shape
    return n * (q - 1) / d


def alignment(z: Tensor) -> float:
    """Mean squared distance of two views on the unit sphere, z (n, q, D); 0 is identical.

    Wang & Isola 2020 (https://arxiv.org/abs/2005.10242), eq. 5 with alpha = 2.
    """
    a, b = normalize(z[:, 0], dim=1), normalize(z[:, 1], dim=1)
    return float((a - b).square().sum(dim=1).mean())


def uniformity(z: Tensor) -> float:
    """Logarithm of the mean, over pairs of rows on the unit sphere, of exp(-2 squared distance).

    0 is a complete collapse, about -4 is uniform. Wang & Isola 2020, eq. 6 with t = 2.
    """
    return float(torch.pdist(normalize(z, dim=1)).square().mul(-2).exp().mean().log())


def view_retrieval(z: Tensor) -> float:
    """Share of images whose second view is the nearest, by cosine, to their first; z (n, q, D)."""
    return float(retrieved(z[:, 0], z[:, 1]).double().mean())


def retrieved(a: Tensor, b: Tensor) -> Tensor:
    """Tells of which images the other view b is the nearest, by cosine, to view a.

    Args:
        a: (n, D) features of one view of each image.
        b: (n, D) features of another.

    Returns:
        (n,) booleans.
    """
    similarity = normalize(a, dim=1) @ normalize(b, dim=1).T
    return similarity.argmax(dim=1) == torch.arange(len(a))


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear centered kernel alignment of features x (n, D) and y (n, D') of the same images.

    1 for features that are equal up to rotation and scale, about 0 for unrelated ones. CKA
    (Kornblith et al. 2019, https://arxiv.org/abs/1905.00414), eq. 4, with the unbiased estimate of
    HSIC (Song et al. 2012, eq. 5), because the usual one is near 1 for any features with D > n.
    """
    k, m = x @ x.T, y @ y.T
    scale = (_hsic(k, k) * _hsic(m, m)) ** 0.5 if _hsic(k, k) > 0 and _hsic(m, m) > 0 else 0.0
    return _hsic(k, m) / scale if scale else 0.0


def _hsic(k: Tensor, m: Tensor) -> float:
    """Unbiased estimate of HSIC from two kernel matrices (n, n), n > 3."""
    n = len(k)
    k, m = k - torch.diag(k.diag()), m - torch.diag(m.diag())
    rows = (k.sum(dim=0) * m.sum(dim=0)).sum()
    value = (k * m).sum() + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
    return float(value / (n * (n - 3)))


def representation_metrics(z: Tensor) -> dict[str, float]:
    """Returns all measures of z (n, q, D) under their names in metrics.jsonl.

    Raises:
        NotFiniteError: If z is not finite.
    """
    z = z.double().cpu()
    require_finite(z.detach().numpy(), "rows of features or projections")
    rows = z.flatten(0, 1)
    alpha, fit = alpha_req(rows)
    return {
        "feature_std": feature_std(rows),
        "mean_cosine": mean_cosine(rows),
        "rankme": rankme(rows),
        "rankme_centered": rankme(rows, centered=True),
        "alpha_req": alpha,
        "alpha_req_r2": fit,
        "lidar": lidar(z),
        "lidar_freedom": lidar_freedom(z),
        "alignment": alignment(z),
        "uniformity": uniformity(z[:, 0]),
        "view_retrieval": view_retrieval(z),
    }
