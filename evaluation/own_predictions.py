"""The predictions of a fine-tuned classifier on images that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.config import Config
from ..core.errors import UsageError, did_you_mean
from ..data.splits import Positions
from ..training.layers import expand
from ..training.seen import seen_in
from .beside_start import keep
from .data import EvaluationData, in_groups
from .evaluation import Evaluation
from .pretrained import Pretrained
from .requests import Prepared
from .result import Result
from .side_by_side import SideBySide, evaluate_side_by_side
from .tuned import TunedRun, load_classifier

NAME = "predictions"


class OwnPredictions(Evaluation):
    """How accurate is a fine-tuned classifier on images of other groups than it learned from?

    Args:
        run: Folder of the classifier.
    """

    def __init__(self, run: TunedRun) -> None:
        super().__init__(Config())
        self._run = run

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of all labeled images whose groups were not learned from."""
        index, manifest = data.dataset.index, self._run.read_json("manifest.json")
        learned = seen_in(manifest, index, data.dataset.path).groups
        labeled = np.flatnonzero(index.labels >= 0)
        return labeled[~in_groups(index, labeled, learned)]

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Predicts each image once.

        Raises:
            UsageError: If no image is left to test on, or a class is not one of the classifier's.
        """
        tested, index, classes = self.tested(data), data.dataset.index, self._run.classes
        if not len(tested):
            raise UsageError(
                "The classifier learned from all groups of these labeled images. Give --data or "
                "--labels of other ones to test it on."
            )
        numbers = np.array([_number(name, classes) for name in index.classes])
        features, positions = data.embed(model, tested)
        probabilities = self._predict(features)
        labels, groups = numbers[index.labels[positions]], index.groups[positions]
        order, point = self._run.grades, self._run.operating_point
        return Result.of_classification(
            labels, probabilities, groups, classes, None, order, **point
        )

    @torch.inference_mode()
    def _predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Maps features (n, D) to probabilities (n, K)."""
        _, classifier = load_classifier(self._run)
        logits = classifier.head(torch.from_numpy(features))
        predictions: NDArray[Any] = logits.double().softmax(dim=1).numpy()
        return predictions


def evaluate_predictions(prepared: Prepared, command: str) -> SideBySide:
    """Tests a classifier, and keeps the result in its folder.

    Args:
        prepared: The classifier and labeled images.
        command: What was asked for, for the record.
    """
    run = prepared.run
    assert isinstance(run, TunedRun)  # noqa: S101
    own = OwnPredictions(run)
    [result] = evaluate_side_by_side([prepared.model], prepared.data, {NAME: own})
    keep(run, [result], prepared, command)
    return result


def _number(name: str, classes: tuple[str, ...]) -> int:
    if name not in classes:
        raise UsageError(
            f"The images have the class '{name}', which the classifier does not know. "
            f"{did_you_mean(name, classes)} It knows {', '.join(classes)}."
        )
    return classes.index(name)


def refuse_options(settings: Mapping[str, Any] | None) -> None:
    """Refuses options of evaluations beside the own predictions of a classifier.

    Args:
        settings: Settings of evaluations and of images, with dotted keys or nested.

    Raises:
        UsageError: If there is an option of an evaluation.
    """
    stray = sorted(expand(settings).keys() - {"data"})
    if stray:
        raise UsageError(
            "The own predictions of a classifier have no options. Leave out those of "
            f"'{stray[0]}', or name that evaluation with --evaluation."
        )
