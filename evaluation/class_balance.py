"""Methods against class imbalance: weights, focal loss, logit adjustment, a balanced sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler

from ..data.splits import Positions

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps logits (B, K) and labels (B,) to a scalar."""


def class_weights(labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Returns (K,) weights n / (K' n_k), where K' is the number of classes that occur."""
    counts = np.bincount(labels, minlength=classes)
    weights: NDArray[np.float64] = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return weights


def effective_weights(labels: NDArray[Any], classes: int, beta: float) -> NDArray[np.float64]:
    """Returns (K,) weights (1 - beta) / (1 - beta^n_k), scaled to a mean of 1 over the images.

    Class-Balanced Loss Based on Effective Number of Samples (Cui et al. 2019,
    https://arxiv.org/abs/1901.05555), eq. 2; a beta of 0 gives equal weights, and one near 1 those
    of `class_weights`. A class without images counts as one with a single image.

    Args:
        labels: (n,) class numbers.
        classes: Number of classes (K).
        beta: From 0 to below 1.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = (1 - beta) / (1 - np.float64(beta) ** np.maximum(counts, 1))
    scaled: NDArray[np.float64] = weights * len(labels) / (weights * counts).sum()
    return scaled


def log_priors(labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Returns (K,) logarithms of the shares of the classes, log pi.

    Long-Tail Learning via Logit Adjustment (Menon et al. 2021, https://arxiv.org/abs/2007.07314)
    adds them to the logits in training (eq. 10 with tau = 1) and leaves them out in prediction,
    which is consistent for the balanced error. A class without images counts as one with a single
    image.

    Args:
        labels: (n,) class numbers.
        classes: Number of classes (K).
    """
    counts = np.bincount(labels, minlength=classes)
    logarithms: NDArray[np.float64] = np.log(np.maximum(counts, 1) / len(labels))
    return logarithms


def focal_loss(logits: Tensor, labels: Tensor, focus: float = 2.0) -> Tensor:
    """Returns the mean of -(1 - p)^focus log p, where p is the probability of the right class.

    Focal Loss for Dense Object Detection (Lin et al. 2017, https://arxiv.org/abs/1708.02002),
    eq. 4; a focus of 0 is cross-entropy.
    """
    nats = cross_entropy(logits, labels, reduction="none")
    return ((1 - torch.exp(-nats)) ** focus * nats).mean()


def balanced_loss(
    balance: str, labels: NDArray[Any], classes: int, device: torch.device, beta: float = 0.999
) -> Loss:
    """Returns the loss function of a method against class imbalance.

    Args:
        balance: "weights", "effective", "logits", "focal", or anything else for plain
            cross-entropy.
        labels: (n,) class numbers of the training images.
        classes: Number of classes (K).
        device: Device of the logits.
        beta: Of `effective_weights`.
    """
    if balance == "focal":
        return focal_loss
    if balance == "logits":
        priors = torch.from_numpy(log_priors(labels, classes)).float().to(device)
        return lambda logits, labels: cross_entropy(logits + priors, labels)
    if balance in ("weights", "effective"):
        of_classes = (
            class_weights(labels, classes)
            if balance == "weights"
            else effective_weights(labels, classes, beta)
        )
        return partial(cross_entropy, weight=torch.from_numpy(of_classes).float().to(device))
    return cross_entropy


class BalancedSampler(Sampler[tuple[int, Positions]]):
    """Draws endless batches in which all classes are equally likely.

    Args:
        pool: Positions to draw from.
        labels: (n,) class numbers of the pool.
        batch_size: Number of images in a batch.
        seed: Random seed of the draws.
    """

    def __init__(self, pool: Positions, labels: NDArray[Any], batch_size: int, seed: int) -> None:
        self._pool, self._batch_size, self._seed = pool, batch_size, seed
        self._probabilities = class_weights(labels, int(labels.max()) + 1)[labels] / len(labels)

    def __iter__(self) -> Iterator[tuple[int, Positions]]:
        rng, step = np.random.default_rng(self._seed), 0
        while True:  # the step serves as epoch: an image drawn again gets other augmentations
            yield step, rng.choice(self._pool, self._batch_size, p=self._probabilities)
            step += 1
