"""Joint-embedding prediction with embeddings regularized to an isotropic Gaussian (SIGReg).

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
    """Maps uniform random numbers (2, D, M) to M random directions (D, M), uniform on the sphere.

    They are normal random numbers after Box and Muller (1958), divided by their norm.
    """
    radius = (-2 * torch.log1p(-uniform[0])).sqrt()
    return normalize(radius * torch.cos(2 * math.pi * uniform[1]), dim=0)


@full_precision
def epps_pulley(x: Tensor) -> Tensor:
    """Computes the Epps-Pulley statistic (1983), the distance from a standard normal distribution.

    N int |1/N sum_n exp(i t x_n) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt, section 4.2. The integrand is
    even, so that it is twice the integral over t > 0: the trapezoidal rule with 17 knots on [0, 3],
    as in the authors' code (algorithm 1 of the paper has 17 knots on [-5, 5]).

    Args:
        x: (..., N, M), N samples of each of M variables.

    Returns:
        (..., M), at least 0.
    """
    t = torch.linspace(0, 3, 17, dtype=x.dtype, device=x.device)
    gauss = torch.exp(-t.square() / 2)
    phase = x[..., None] * t  # (..., N, M, 17)
    real, imaginary = phase.cos().mean(dim=-3), phase.sin().mean(dim=-3)
    error = ((real - gauss).square() + imaginary.square()) * gauss
    return 2 * torch.trapezoid(error, t) * x.shape[-2]


@full_precision
def sigreg(z: Tensor, a: Tensor) -> Tensor:
    """Computes the sketched isotropic Gaussian regularization (SIGReg), section 4.

    1/V sum_v 1/M sum_m T({a_m . z_nv}_n) with T of `epps_pulley`; each view of the batch is a
    separate sample of the N images of all processes.

    Args:
        z: (V, N, D) embeddings.
        a: (D, M) normalized directions.
    """
    return epps_pulley(z @ a).mean()


@full_precision
def prediction(z: Tensor, num_global: int) -> Tensor:
    """Computes the squared distance of all views to the mean of the global ones, eq. 7.

    1/(N V) sum_nv ||mu_n - z_nv||^2 / D with mu_n = 1/G sum_{v <= G} z_nv, see algorithm 2. Eq. 7
    has no factor 1/D, but the authors' code has, and the published lambda refers to it.

    Args:
        z: (V, N, D) embeddings, those of global crops first.
        num_global: Number of global crops (G).
    """
    return (z - z[:num_global].mean(dim=0)).square().mean()


class LeJEPAConfig(Config):
    """Defaults of section 6; the dimensions suit encoders of ResNet-18's size and short training.

    The paper has 6 to 8 local crops and 1024 directions; algorithm 1 has 256.
    """

    local_crops: Annotated[
        int, Field(ge=0, description="number of local crops beside the two global ones")
    ] = 4
    hidden_dim: Annotated[int, Field(ge=1, description="hidden dimension of the projector")] = 512
    out_dim: Annotated[int, Field(ge=1, description="dimension of the embeddings")] = 64
    sigreg: Annotated[
        float,
        Field(
            ge=0, le=1, description="share of SIGReg in the loss, beside the prediction (lambda)"
        ),
    ] = 0.05
    num_directions: Annotated[
        int, Field(ge=1, description="number of random directions per step (M)")
    ] = 256


class LeJEPA(Objective):
    """LeJEPA: all crops predict the mean of the global crops, and embeddings become Gaussian.

    https://arxiv.org/abs/2511.08544, eq. 7 and algorithms 1 and 2. SIGReg compares random
    projections of the embeddings with a normal distribution; it prevents collapse without teacher
    and stop-gradient.
    """

    paper = "https://arxiv.org/abs/2511.08544"
    Config = LeJEPAConfig

    def __init__(self, encoder: Encoder, config: LeJEPAConfig) -> None:
        super().__init__(encoder, config)
        self.projector = mlp(
            encoder.num_features, config.hidden_dim, config.hidden_dim, config.out_dim
        )

    @classmethod
    def views(cls, config: LeJEPAConfig, size: int) -> tuple[View, ...]:
        """Two global and `local_crops` local crops; local ones cover up to 0.3 of the area."""
        return multi_crop(size, config.local_crops, cut=0.3)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes (1 - lambda) prediction + lambda SIGReg over the images of all processes."""
        z = self.projector(torch.cat(encode_views(self.encoder, batch.views)))
        z = torch.stack(z.chunk(len(batch.views)), dim=1)  # (B, V, D)
        z = all_gather(z).transpose(0, 1)
        a = directions(rand_shared(2, z.shape[2], self.config.num_directions, like=z))
        terms = {"prediction": prediction(z, num_global=2), "sigreg": sigreg(z, a)}
        share = self.config.sigreg
        loss = (1 - share) * terms["prediction"] + share * terms["sigreg"]
        return Output(loss, {name: term.detach() for name, term in terms.items()})
