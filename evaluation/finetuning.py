"""Fine-tuning: a classifier trained on labeled images, starting from an encoder's weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.process import seeded
from ..nn.weights import check_trainable
from .classifier import Classifier
from .classifier_training import EncoderTraining, HeadTraining
from .confusion import balanced_accuracy
from .data import EvaluationData
from .finetuning_options import FineTuningConfig
from .pretrained import Pretrained
from .result import Result
from .selection import Advance, choose_epochs_then_refit

_IMAGES_TRAINED_ON = 8_000
_MOST_EPOCHS, _FEWEST_EPOCHS = 100, 10  # of 8,000 images
_CHECKS = 10  # predictions of the validation part
_RISE = 0.02  # of the mean log-probability of the right class


def epochs_for(labeled: int, images: int = _IMAGES_TRAINED_ON) -> int:
    """Returns the number of epochs of so many labeled images that train on `images` in all.

    It is within 10 and 100 for 8,000 images, and in proportion for others.
    """
    times = images / _IMAGES_TRAINED_ON
    within = min(_MOST_EPOCHS * times, images / labeled)
    return max(1, round(max(_FEWEST_EPOCHS * times, within)))


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned classifier and its result on the test part."""

    classifier: Classifier
    result: Result


def fine_tune(
    model: Pretrained,
    data: EvaluationData,
    config: FineTuningConfig,
    advance: Advance = lambda done, epochs, loss: None,
    chosen: Callable[[int, int], None] = lambda best, epochs: None,
) -> FineTuned:
    """Trains a classifier, starting from an encoder, and tests it once.

    A first training on the training part alone finds the number of epochs with the best
    predictions on the validation part; a second one learns from both parts for as long. Without a
    validation part, all epochs are trained. The encoder and torch's random state stay as they are.

    Args:
        model: The encoder to start from.
        data: Labeled images in three parts.
        config: Options.
        advance: Called after each epoch with its number, how many there are, and the mean loss.
        chosen: Called with the best number of epochs, and how many there were, before the second
            training.

    Raises:
        RunError: If the loss is not finite.
        UsageError: If more layers are to be trained than there are, or there is none.
    """
    check_trainable(model.encoder)
    parts, classes = data.parts, data.dataset.index.classes
    epochs = config.epochs or epochs_for(len(parts.train) + len(parts.val), config.images)
    kind = HeadTraining if config.freeze == "all" else EncoderTraining
    losses, curve = list[float](), list[tuple[float, float]]()
    checks = validation_epochs(epochs) if len(parts.val) else ()

    def judge(*predictions: NDArray[Any]) -> tuple[float, float]:
        curve.append(score(len(classes), *predictions))
        return curve[-1]

    def note(done: int, epochs: int, loss: float) -> None:
        losses.append(loss)
        advance(done, epochs, loss)

    def make(with_val: bool) -> EncoderTraining | HeadTraining:
        return kind(model, data, config, epochs, with_val)

    with seeded(config.seed):
        fitted = choose_epochs_then_refit(make, epochs, checks, judge, advance=note, chosen=chosen)
        tested, classifier = fitted.model.predict("test"), fitted.model.classifier()
    result = Result.of_classification(
        *(*tested, classes, fitted.validation, config.order(classes)),
        config.positive_class(classes, data.rarest),
        sensitivity=config.sensitivity,
        epochs=fitted.setting,
        of_epochs=epochs,
        improving=still_improving(curve),
        training_loss=losses[-1],
    )
    return FineTuned(classifier, result)


def validation_epochs(epochs: int) -> set[int]:
    """Returns the up to ten epochs, evenly spread, after which the validation part is predicted."""
    spread = np.linspace(0, epochs, min(_CHECKS, epochs) + 1)[1:]
    return set(spread.round().astype(int).tolist())


def still_improving(curve: Sequence[tuple[float, float]]) -> bool | None:
    """Tells whether the likelihood of the validation part rose in the last third of the checks.

    Accuracies of few images tie too often. Less than 0.02 does not count.

    Args:
        curve: The score of each check in turn; see `score`.

    Returns:
        None if there are fewer than three checks.
    """
    likelihoods, last = [likelihood for _, likelihood in curve], len(curve) // 3
    return max(likelihoods[-last:]) > max(likelihoods[:-last]) + _RISE if last else None


def score(classes: int, labels: NDArray[Any], probabilities: NDArray[Any]) -> tuple[float, float]:
    """Returns the balanced accuracy, and for a tie the mean log-probability of the right class.

    Args:
        classes: Number of classes (K).
        labels: (n,) class numbers.
        probabilities: (n, K).
    """
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    right = probabilities[np.arange(len(labels)), labels]
    return float(balanced_accuracy(confusion)), float(np.log(right + 1e-12).mean())
