"""Collapse watch: detects collapsed representations during training and names a remedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..core.index import evenly_spaced
from ..core.objective import Objective
from ..data.loader import ViewDataset
from ..data.splits import Positions
from ..data.standardize import Standardize
from .representation import representation_metrics

IMAGES, VIEWS = 256, 4
SHARE_OF_TIME = 0.02
COLLAPSED = "COLLAPSED"
_SPREAD = "projected_feature_std"

_CURES = {
    "OK": "",
    "SUSPECT": "images are hardly distinguished, the projections converge, or a few directions "
    "carry almost all variance: look at 'ssl-kit views', weaken the crops, or check what prevents "
    "collapse (negatives, variance terms, stop-gradient)",
    "DIMENSIONAL": "the features have lost most of their rank since the start of training: "
    "lower the learning rate, or raise the batch size or the objective's variance terms",
    COLLAPSED: "all images have the same features or projections: lower the learning rate, "
    "lengthen the warm-up, and check the teacher, the stop-gradient and that the images differ",
}


@dataclass
class WatchState:
    """What the verdict needs from earlier epochs; it is saved with the checkpoint.

    Attributes:
        initial: Measures before the first step.
        best_rank: Highest RankMe of the features so far.
        best_retrieval: Highest view retrieval since the first step.
        best_spread: Highest standard deviation of the projections since the first step.
        low: Number of successive measurements that showed a collapse.
        first_loss: Mean loss of the first epoch.
        verdict: The latest verdict.
    """

    initial: dict[str, float] = field(default_factory=dict)
    best_rank: float = 0.0
    best_retrieval: float = -1.0
    best_spread: float = 0.0
    low: int = 0
    first_loss: float | None = None
    verdict: str = "OK"


class Watch:
    """Measures features and projections of a fixed set of views, and gives a verdict.

    The views are rendered once. Measuring uses evaluation mode and no random numbers, so it does
    not change the training.

    Args:
        views: Renders `VIEWS` views of an image.
        pool: Positions of the images, of which up to 256 are taken, evenly spread.
        standardize: Standardizes views as in training.
    """

    def __init__(self, views: ViewDataset, pool: Positions, standardize: Standardize) -> None:
        chosen = pool[evenly_spaced(len(pool), IMAGES)]
        raw = views[0, chosen]
        self._pixels = torch.stack(raw.views, dim=1).flatten(0, 1)  # (n q, H, W, C)
        self._standardize = standardize
        self.all_equal = views.all_equal(chosen)
        self._spent, self._started = 0.0, time.monotonic()
        self.state = WatchState()

    @property
    def images(self) -> int:
        """Number of views that are measured."""
        return len(self._pixels)

    def due(self) -> bool:
        """Returns whether measuring has taken less than 2 % of the time so far."""
        return self._spent <= SHARE_OF_TIME * (time.monotonic() - self._started)

    def look(self, objective: Objective, autocast: Callable[[], Any]) -> dict[str, float]:
        """Measures features ("rankme", ...) and projections ("projected_rankme", ...)."""
        start = time.monotonic()
        training = objective.training
        objective.eval()
        features, projected = [], []
        with torch.no_grad(), autocast():
            for pixels in torch.split(self._pixels, 256):
                h = objective.encoder(self._standardize(pixels))
                z = objective.project(h)
                features.append(h.float())
                projected.extend([] if z is None else [z.float()])
        objective.train(training)
        measures = representation_metrics(self._grouped(features))
        if projected:
            of_projections = representation_metrics(self._grouped(projected))
            measures |= {f"projected_{name}": value for name, value in of_projections.items()}
        self._spent += time.monotonic() - start
        return measures

    def _grouped(self, rows: list[Tensor]) -> Tensor:
        z = torch.cat(rows).double().cpu()
        return z.view(-1, VIEWS, z.shape[1])

    def judge(self, measures: Mapping[str, float], loss: float | None, width: int) -> str:
        """Updates the verdict: OK, SUSPECT, DIMENSIONAL or COLLAPSED.

        If all images are equal, augmented views still differ, but there is nothing to learn.

        Args:
            measures: From `look`.
            loss: Mean loss of the epoch; None before the first step, which sets the reference.
            width: Number of features of the encoder (D).
        """
        state, width = self.state, min(width, len(self._pixels))
        if loss is None:
            state.initial, state.best_rank = dict(measures), measures["rankme_centered"]
            state.verdict = COLLAPSED if self.all_equal else "OK"
            return state.verdict
        if state.first_loss is None:
            state.first_loss = loss
        state.verdict = COLLAPSED if self.all_equal else verdict(measures, state, loss, width)
        state.low = state.low + 1 if _collapsed(measures, state.initial, width) else 0
        state.best_rank = max(state.best_rank, measures["rankme_centered"])
        state.best_retrieval = max(state.best_retrieval, measures["view_retrieval"])
        state.best_spread = max(state.best_spread, measures.get(_SPREAD, 0.0))
        return state.verdict

    def state_dict(self) -> dict[str, Any]:
        """Returns the state as plain values."""
        return asdict(self.state)

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Restores the state."""
        self.state = WatchState(**values)


def _collapsed(measures: Mapping[str, float], initial: Mapping[str, float], width: int) -> bool:
    """Returns whether features or projections hardly vary, and vary less than at the start."""
    for name in ("feature_std", _SPREAD):
        if measures.get(name, 1.0) < min(0.05, max(0.5 * initial.get(name, 1.0), 1e-3)):
            return True
    rank = measures["rankme_centered"]
    return rank < min(0.02 * width, 0.5 * initial.get("rankme_centered", width))


def verdict(measures: Mapping[str, float], state: WatchState, loss: float, width: int) -> str:
    """Returns the verdict on measures, compared with those at initialization.

    Args:
        measures: Measures of the features, and of the projections if there are any.
        state: Holds the measures at initialization.
        loss: Mean loss of the epoch.
        width: Largest rank possible.
    """
    if measures["feature_std"] < 1e-6:  # also where they never differed: equal images
        return COLLAPSED
    if _collapsed(measures, state.initial, width) and state.low >= 1:
        return COLLAPSED
    reference = max(state.best_rank, state.initial.get("rankme_centered", 0.0))
    falling = state.first_loss is None or loss <= state.first_loss
    if measures["rankme_centered"] < 0.25 * reference and falling:
        return "DIMENSIONAL"
    steep = measures["alpha_req"] > 3.5 and measures["alpha_req_r2"] > 0.9
    shrinking = measures.get(_SPREAD, 1.0) < 0.5 * state.best_spread
    retrieval = measures["view_retrieval"]  # near chance from the start if augmentation is strong
    lost = retrieval < 5 / IMAGES and retrieval < 0.5 * state.initial.get("view_retrieval", 1.0)
    if steep or shrinking or lost:
        return "SUSPECT"
    return "OK"


def cure(verdict: str) -> str:
    """Returns the likely cause of a verdict and a remedy; "" for OK."""
    return _CURES[verdict]
