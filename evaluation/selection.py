"""Settings are chosen on the validation part; the model is then refitted on both parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..training.finite import require_finite
from ..training.work import note_progress

S = TypeVar("S")
M = TypeVar("M")
Predictions = tuple[NDArray[Any], NDArray[Any]]
"""Labels (n,) and predicted probabilities (n, K)."""
Score = Callable[[NDArray[Any], NDArray[Any]], Any]
"""Maps labels (n,) and probabilities (n, K) to what is larger where predictions are better."""


def log_likelihood(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Returns the mean log-probability of the right class; probabilities count as 1e-7 at least.

    On few images many settings have the same accuracy, but not the same likelihood.
    """
    right = probabilities[np.arange(len(labels)), labels]
    return float(np.log(right.clip(1e-7)).mean())


def choose(
    candidates: Iterable[tuple[S, Predictions]],
    score: Score = log_likelihood,
    patience: int | None = None,
) -> tuple[S, Predictions] | None:
    """Returns the setting with the best validation score and its predictions; the first of equals.

    Args:
        candidates: Settings, each with the predictions on the validation part of a model that has
            not learned from it. They are computed one at a time.
        score: Compares predictions.
        patience: Candidates after the best one, at which the search ends; None tries all.

    Returns:
        None if there are no candidates.

    Raises:
        NotFiniteError: If predictions are not finite.
    """
    best: tuple[int, Any, tuple[S, Predictions]] | None = None
    for number, (setting, (labels, probabilities)) in enumerate(candidates):
        require_finite(probabilities, "predictions of validation images")
        value = score(labels, probabilities)
        if best is None or value > best[1]:
            best = number, value, (setting, (labels, probabilities))
        elif patience is not None and number - best[0] >= patience:
            break
    return best[2] if best else None


@dataclass(frozen=True)
class Refitted(Generic[S, M]):
    """A model that learned from the training and the validation part.

    Attributes:
        model: The model.
        setting: What was chosen on the validation part.
        validation: Predictions on the validation part before it was learned from; None if it is
            empty.
    """

    model: M
    setting: S
    validation: Predictions | None


def choose_then_refit(
    candidates: Iterable[tuple[S, Predictions]],
    refit: Callable[[S], M],
    otherwise: S,
    score: Score = log_likelihood,
    patience: int | None = None,
) -> Refitted[S, M]:
    """Chooses a setting on the validation part, then fits a model on both parts with it.

    Args:
        candidates: See `choose`; none if the validation part is empty.
        refit: Fits a model on the training and the validation part.
        otherwise: The setting if there are no candidates.
        score: See `choose`.
        patience: See `choose`.
    """
    chosen = choose(candidates, score, patience)
    setting, validation = chosen or (otherwise, None)
    return Refitted(refit(setting), setting, validation)


class EpochModel(Protocol):
    """A model that is trained one epoch at a time."""

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss."""

    def validate(self) -> Predictions:
        """Returns the predictions on the validation part."""


E = TypeVar("E", bound=EpochModel)
Advance = Callable[[int, int, float], None]
"""Called after each epoch with its number, how many there are, and the mean loss."""


def choose_epochs_then_refit(
    make: Callable[[bool], E],
    epochs: int,
    checks: Collection[int],
    score: Score = log_likelihood,
    patience: int | None = None,
    advance: Advance = lambda done, epochs, loss: None,
    chosen: Callable[[int, int], None] = lambda best, epochs: None,
) -> Refitted[int, E]:
    """Chooses the number of epochs on the validation part, then trains on both parts for as long.

    Args:
        make: Makes an untrained model, which learns from the validation part too if its argument
            is true.
        epochs: Number of epochs at most; all of them if there are no checks.
        checks: Epochs after which the validation part is predicted; none if it is empty.
        score: See `choose`.
        patience: See `choose`.
        advance: Called after each epoch.
        chosen: Called with the best number of epochs, and how many there were, before the second
            training.
    """

    def train(model: E, epochs: int) -> Iterator[int]:
        for done in range(1, epochs + 1):
            loss = model.epoch()
            note_progress(done, epochs, "epoch")
            advance(done, epochs, loss)
            yield done

    def candidates() -> Iterator[tuple[int, Predictions]]:
        if checks:
            model = make(False)
            yield from ((n, model.validate()) for n in train(model, epochs) if n in checks)

    def refit(best: int) -> E:
        if checks:
            chosen(best, epochs)
        model = make(True)
        for _ in train(model, best):
            pass
        return model

    return choose_then_refit(candidates(), refit, epochs, score, patience)
