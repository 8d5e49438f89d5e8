"""Building blocks of losses and of the metrics that are logged beside them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize

P = ParamSpec("P")

R = TypeVar("R")


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Makes a loss function compute in float32 or wider, also under mixed precision.

    Tensors in bfloat16 or float16 are converted to float32; autocast is off inside.
    """

    @functools.wraps(loss)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        values = (*args, *kwargs.values())
        device = next((v.device.type for v in values if isinstance(v, Tensor)), "cpu")
        named = {name: _widen(value) for name, value in kwargs.items()}
        with torch.autocast(device, enabled=False):
            return loss(*map(_widen, args), **named)  # type: ignore[arg-type]

    return wide


def _widen(value: object) -> object:
    half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value  # type: ignore[attr-defined]


def off_diagonal(matrix: Tensor) -> Tensor:
    """Returns the elements (D (D - 1),) of a square matrix that are not on its diagonal."""
    n = len(matrix)
    return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


@full_precision
def cosine_scores(x: Tensor, y: Tensor) -> Tensor:
    """Cosine similarities (..., N, M), in [-1, 1], of all rows of x with all rows of y.

    Args:
        x: (..., N, D) features.
        y: (M, D) keys, prototypes or centers.
    """
    return normalize(x, dim=-1) @ normalize(y, dim=-1).T


@torch.no_grad()
def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share, in [0, 1], of rows of logits (..., K) whose largest entry is at the label (...)."""
    return (logits.argmax(dim=-1) == labels).float().mean()


@full_precision
def cross_view_cross_entropy(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Computes the cross entropy of each view's prediction with the targets of the other views.

    SwAV (Caron et al. 2020, https://arxiv.org/abs/2006.09882), eq. 2 and 6, and DINO (Caron et al.
    2021, https://arxiv.org/abs/2104.14294), eq. 1 to 3.

    Args:
        logits: (V, B, K) scores of all crops, the G global ones first.
        targets: (G, B, K) distributions (codes) of the global crops.
        temperature: Temperature of the softmax of the logits (tau).

    Returns:
        Scalar mean over images and the G (V - 1) pairs of crops, as in the authors' code.
    """
    log_p = log_softmax(logits / temperature, dim=2)
    losses = -torch.einsum("gbk,vbk->gv", targets, log_p) / logits.shape[1]
    same = torch.eye(*losses.shape, dtype=torch.bool, device=losses.device)
    return losses[~same].mean()


@full_precision
def masked_prediction_loss(
    predicted: Tensor, codes: Tensor, targets: Tensor, mask: Tensor, temperature: float
) -> tuple[Tensor, ...]:
    """Computes cross entropy and accuracy at masked patches, averaged over patches, then images.

    HuBERT (Hsu et al. 2021, https://arxiv.org/abs/2106.07447), eq. 1 and 3 with alpha = 1.

    Args:
        predicted: (B, N, D) predictions.
        codes: (K, D) embedding of each cluster.
        targets: (B, N) clusters, 0 to K - 1.
        mask: (B, N), True where masked, which is somewhere in every row.
        temperature: Temperature of the softmax (tau).
    """
    logits = cosine_scores(predicted, codes) / temperature  # (B, N, K)
    error = cross_entropy(logits.mT, targets, reduction="none")
    correct = (logits.argmax(dim=2) == targets).to(error)
    return tuple(((x * mask).sum(dim=1) / mask.sum(dim=1)).mean() for x in (error, correct))
