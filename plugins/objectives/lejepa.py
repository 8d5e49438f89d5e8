"""Makes the views of an image agree while the features of all images become a standard Gaussian.

LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics,
Balestriero, LeCun, 2025. https://arxiv.org/abs/2511.08544
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from ... import Batch, Config, Encoder, Objective, Output, View
from ...nn import all_gather, encode_views, full_precision, mlp, multi_crop, rand_shared


def directions(uniform: Tensor) -> Tensor:
    """Maps uniform numbers (2, D, M) in [0, 1) to M directions (D, M), uniform on the sphere.

    Normal numbers by Box and Muller (1958), divided by their length.
    """
    radius = (-2 * torch.log1p(-uniform[0])).sqrt()
    return normalize(radius * torch.cos(2 * math.pi * uniform[1]), dim=0)


@full_precision
def epps_pulley(x: Tensor) -> Tensor:
    """Distance of samples from the standard normal distribution by Epps and Pulley (1983).

    N int |1/N sum_n exp(i t x_n) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt, section 4.2 and algorithm 1:
    the trapezoidal rule with 17 knots on [-5, 5]. The integrand is even, so that twice the
    integral over the 9 knots of [0, 5] is the same.

    Args:
        x: (..., N, M), N samples of each of M variables.

    Returns:
        (..., M), from 0.
    """
    t = torch.linspace(0, 5, 9, dtype=x.dtype, device=x.device)
    gauss = torch.exp(-t.square() / 2)
    phase = x[..., None] * t  # (..., N, M, 9)
    real, imaginary = phase.cos().mean(dim=-3), phase.sin().mean(dim=-3)
    error = ((real - gauss).square() + imaginary.square()) * gauss
    return 2 * torch.trapezoid(error, t) * x.shape[-2]


@full_precision
def sigreg(z: Tensor, a: Tensor) -> Tensor:
    """Sketched isotropic Gaussian regularization, section 4: mean over directions, then views.

    1/V sum_v 1/M sum_m T({a_m . z_nv}_n) with T of `epps_pulley`: each view of the batch is a
    sample of its own, and N counts the images of all processes.

    Args:
        z: (V, N, D) embeddings.
        a: (D, M) directions of unit length.
    """
    return epps_pulley(z @ a).mean()


@full_precision
def prediction(z: Tensor, large: int) -> Tensor:
    """Squared distance of all views to the mean of the large ones, eq. 7 and algorithm 2.

    1/(N V) sum_nv ||mu_n - z_nv||^2 / D with mu_n = 1/G sum_{v <= G} z_nv. Eq. 7 has no 1/D, the
    authors' code does, and the published lambda belongs to it. No gradient is stopped.

    Args:
        z: (V, N, D) embeddings, the large views first.
        large: G.
    """
    return (z - z[:large].mean(dim=0)).square().mean()


class LeJEPAConfig(Config):
    """Defaults of section 6; widths as suit encoders of ResNet-18's size and short runs.

    The paper has 6 to 8 small views and 1024 directions; algorithm 1 has 256.
    """

    crops: Annotated[int, Field(ge=0, description="small views beside the two large ones")] = 4
    hidden: Annotated[int, Field(ge=1, description="width inside the projector")] = 512
    out: Annotated[int, Field(ge=1, description="width of the embeddings")] = 64
    sigreg: Annotated[
        float, Field(ge=0, le=1, description="lambda: share of SIGReg, the rest is prediction")
    ] = 0.05
    directions: Annotated[int, Field(ge=1, description="M, drawn anew at each step")] = 256


class LeJEPA(Objective):
    """Prediction in feature space with one term against collapse; no teacher, no stop-gradient."""

    paper = "https://arxiv.org/abs/2511.08544"
    Config = LeJEPAConfig

    def __init__(self, encoder: Encoder, config: LeJEPAConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(encoder.num_features, config.hidden, config.hidden, config.out)

    @classmethod
    def views(cls, config: LeJEPAConfig, size: int) -> tuple[View, ...]:
        """Two large views and `crops` small ones; section 6 cuts at 0.3 of the image's area."""
        return multi_crop(size, config.crops, cut=0.3)

    def project(self, features: Tensor) -> Tensor:
        """Maps (B, D) to (B, out)."""
        embeddings: Tensor = self.projector(features)
        return embeddings

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """(1 - lambda) prediction + lambda SIGReg over the images of all processes."""
        z = self.project(torch.cat(encode_views(self.encoder, batch.views)))
        z = torch.stack(z.chunk(len(batch.views)), dim=1)  # (B, V, D)
        z = all_gather(z).transpose(0, 1)
        a = directions(rand_shared(2, z.shape[2], self.config.directions, like=z))
        terms = {"prediction": prediction(z, large=2), "sigreg": sigreg(z, a)}
        share = self.config.sigreg
        loss = (1 - share) * terms["prediction"] + share * terms["sigreg"]
        return Output(loss, {name: term.detach() for name, term in terms.items()})
