"""The training of a network that classifies bags, an epoch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn.functional import cross_entropy

from ... import Output
from ...evaluation import GradesConfig, Predictions, TrainingStep, mean_loss, seeded
from .pooling import POOLINGS, Bag, join

_BATCH = 16  # bags


class BagsConfig(GradesConfig):
    """Options of the evaluation."""

    pooling: Annotated[
        Literal["mean", "max", "attention", "graph"],
        Field(
            description="pooling of the images of a bag; graph: two graph convolutions over "
            "neighboring images, which needs whole rows and columns as positions"
        ),
    ] = "attention"
    epochs: Annotated[
        int, Field(ge=1, description="largest number of epochs; validation bags choose")
    ] = 100
    lr: Annotated[float, Field(gt=0, description="learning rate of AdamW, constant")] = 3e-4
    weight_decay: Annotated[float, Field(ge=0, description="weight decay of AdamW")] = 0.01
    hidden: Annotated[int, Field(ge=1, description="number of features that are pooled")] = 128
    seed: Annotated[
        int, Field(ge=0, description="random seed of the weights and of the order of bags")
    ] = 0
    maps: Annotated[
        str,
        Field(
            description="folder for saliency.csv, which has the saliency of each image of the test "
            "bags, and a picture of each bag whose images lie in rows and columns; '' for none"
        ),
    ] = ""


@dataclass(frozen=True)
class BagPart:
    """The bags of one part of the data.

    Attributes:
        bags: B bags.
        labels: (B,) class numbers.
        groups: (B,) group numbers, sorted.
        images: Positions of the images of each bag.
    """

    bags: list[Bag]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    images: list[NDArray[np.int64]]

    def __add__(self, other: BagPart) -> BagPart:
        return BagPart(
            self.bags + other.bags,
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
            self.images + other.images,
        )


class BagTraining:
    """Trains a pooling network.

    Args:
        train: The bags to learn from.
        val: The bags that `validate` predicts.
        classes: Number of classes (K).
        options: Options of the evaluation.

    Attributes:
        net: The network.
    """

    def __init__(self, train: BagPart, val: BagPart, classes: int, options: BagsConfig) -> None:
        self._train, self._val, self._lr = train, val, options.lr
        self._labels = torch.from_numpy(train.labels)
        with seeded(options.seed):
            known = torch.cat([bag.tiles for bag in train.bags])
            self.net = POOLINGS[options.pooling](known, classes, options.hidden)
        optimizer = torch.optim.AdamW(
            self.net.parameters(), options.lr, weight_decay=options.weight_decay
        )
        self._take_step = TrainingStep(self.net, optimizer)
        self._order = torch.Generator().manual_seed(options.seed)

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss."""
        order = torch.randperm(len(self._labels), generator=self._order)
        batches: Sequence[torch.Tensor] = order.split(_BATCH)  # type: ignore[no-untyped-call]
        steps = [self._take_step(self._lr, partial(self._loss, rows)) for rows in batches]
        return mean_loss([step.loss for step in steps], "bags", "bags.lr")

    def _loss(self, rows: torch.Tensor) -> Output:
        logits = self.net(join([self._train.bags[i] for i in rows.tolist()]))
        return Output(cross_entropy(logits, self._labels[rows]))

    def validate(self) -> Predictions:
        """Returns the labels and the predictions of the validation bags."""
        return self._val.labels, self.predict(self._val.bags)

    def predict(self, bags: Sequence[Bag]) -> NDArray[np.float64]:
        """Returns probabilities (B, K)."""
        with torch.no_grad():
            logits = [self.net(join(bags[i : i + _BATCH])) for i in range(0, len(bags), _BATCH)]
        probabilities: NDArray[np.float64] = torch.cat(logits).double().softmax(dim=1).numpy()
        return probabilities
