"""Tells without labels whether training made features worse, by how often views find each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.index import evenly_spaced
from ..core.view import View
from ..data.standardize import Standardize
from .intervals import Estimate, jackknife, means
from .judge import Encode, embedded, most_in_memory, render
from .representation import retrieved
from .setup import Setup

IMAGES = 256  # as the collapse watch takes: the more images, the harder it is to find one


@dataclass(frozen=True)
class ViewPairs:
    """Two random views, of the domain's default policy, of some images.

    Attributes:
        first: (n, H, W, C) pixels of one view of each image.
        second: Those of the other.
    """

    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, setup: Setup, most: int) -> ViewPairs:
        """Renders views of up to `most` images, evenly spread over those to pre-train on."""
        views = setup.view_dataset((View(setup.config.encoder.image_size),) * 2)
        most = min(most, IMAGES, most_in_memory(views, setup.pool))
        chosen = setup.pool[evenly_spaced(len(setup.pool), most)]
        (first, second), _ = render(views, chosen, setup.dataset.index)
        return cls(first, second)

    def found(
        self, encoder: Encode, standardize: Standardize, autocast: Callable[[], Any]
    ) -> NDArray[np.float64]:
        """Returns what `found_views` does of an encoder in evaluation mode, (n,)."""
        a, b = (embedded(x, encoder, standardize, autocast) for x in (self.first, self.second))
        return found_views(a, b)


def found_views(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """Returns how often a view's nearest view is the other one of its image, (n,): 0, 1/2 or 1.

    Each of both views is looked for by the other. With features that are not finite nothing is
    found.

    Args:
        a: (n, D) features of one view of each image.
        b: (n, D) features of another.
    """
    if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
        return np.zeros(len(a))
    found: NDArray[np.float64] = (retrieved(a, b).double() + retrieved(b, a)).numpy() / 2
    return found


def compare(start: NDArray[np.float64], end: NDArray[np.float64]) -> Mapping[str, Estimate]:
    """Compares how often views were found before and after a training.

    Intervals are over images, not over groups: what is asked is whether the features of these
    images became worse.

    Args:
        start: (n,) from `found_views` of the start.
        end: The same of the end.

    Returns:
        "start", "end" and their paired difference "gain".
    """
    statistic, sizes = means({"start": start, "end": end}, np.arange(len(start)))
    shares = jackknife(statistic, sizes)
    gain = shares["end"] - shares["start"]
    return {**{name: share.estimate() for name, share in shares.items()}, "gain": gain.estimate()}
