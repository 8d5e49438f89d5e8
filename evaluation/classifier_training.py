"""The training of a classifier, an epoch at a time: of its head on features, or on images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Sampler

from ..core.encoder import Encoder
from ..core.objective import Output
from ..core.view import View
from ..data.order import Stream
from ..data.splits import Positions
from ..training.device import choose_device
from ..training.optim import learning_rate
from ..training.precision import choose_precision
from ..training.settings import OptimizerConfig
from ..training.step import TrainingStep, mean_loss
from .class_balance import BalancedSampler, balanced_loss
from .classifier import Classifier, layerwise_optimizer
from .data import EvaluationData
from .finetuning_options import FineTuningConfig
from .labeled_views import training_views
from .pretrained import Pretrained
from .selection import Predictions

_CROP = (0.5, 1.0)  # share of the area

Batches = Iterator[tuple[list[Tensor], Tensor]]
"""Views (B, C, H, W), or features (B, D), of some images, and their labels (B,)."""


class _EpochTraining:
    """Trains a network on batches, an epoch at a time.

    Args:
        net: Maps what the batches hold to logits (B, K).
        optimizer: Of its parameters.
        batches: Endless.
        labels: (n,) of the training images.
        epochs: Length of the learning-rate schedule.
        classes: Number of classes (K).
        config: Options.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Batches,
        labels: NDArray[Any],
        epochs: int,
        classes: int,
        config: FineTuningConfig,
    ) -> None:
        self._net, self._batches = net, batches
        self._take_step = TrainingStep(net, optimizer)
        self._schedule = OptimizerConfig(lr=config.lr, warmup=0.1)
        self._batch_size = min(config.batch_size, len(labels))
        self.steps_per_epoch = len(labels) // self._batch_size
        self._steps, self._step = epochs * self.steps_per_epoch, 0
        self._device = next(net.parameters()).device
        self._loss = balanced_loss(
            config.balance, labels, classes, self._device, config.balance_beta
        )
        self._half = choose_precision(config.precision, net) == "bf16"

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss."""
        self._net.train()
        losses = []
        for _ in range(self.steps_per_epoch):
            lr = learning_rate(self._step, self._steps, self._schedule, self._batch_size)
            losses.append(self._take_step(lr, self._forward).loss)
            self._step += 1
        return mean_loss(losses, "fine-tuning", "its lr")

    def _forward(self) -> Output:
        inputs, labels = next(self._batches)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            logits = [self._net(x) for x in inputs]
        return Output(torch.stack([self._loss(z.float(), labels) for z in logits]).mean())


def _order(
    pool: Positions, labels: NDArray[Any], config: FineTuningConfig
) -> Sampler[tuple[int, Positions]]:
    batch_size = min(config.batch_size, len(pool))
    if config.balance == "sampler":
        return BalancedSampler(pool, labels, batch_size, config.seed)
    return Stream(pool, batch_size, config.seed)


class _ClassifierTraining(ABC):
    """What the trainings of a head and of an encoder have in common."""

    _training: _EpochTraining

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss."""
        return self._training.epoch()

    def validate(self) -> Predictions:
        """Returns the labels and the predictions of the validation part."""
        return self.predict("val")[:2]

    @abstractmethod
    def predict(
        self, part: Literal["val", "test"]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Returns labels (n,), probabilities (n, K) and groups (n,) of the images of a part."""


class HeadTraining(_ClassifierTraining):
    """Trains the head alone, on features that are computed once.

    The head learns from standardized features (mean 0, variance 1); `classifier` folds the
    standardization into its weights.

    Args:
        model: The encoder, which stays as it is.
        data: Labeled images in three parts.
        config: Options.
        epochs: Length of the learning-rate schedule.
        with_val: Whether to learn from the validation part too.
    """

    def __init__(
        self,
        model: Pretrained,
        data: EvaluationData,
        config: FineTuningConfig,
        epochs: int,
        with_val: bool,
    ) -> None:
        torch.manual_seed(config.seed)
        self._encoder, self._data = model.encoder, data.features(model)
        features, labels = self._data.features, self._data.labels
        rows = self._data.known if with_val else self._data.train
        known = features[rows].astype(np.float64)
        self._mean, self._std = known.mean(axis=0), known.std(axis=0) + 1e-6
        x = (features - self._mean) / self._std
        device, classes = choose_device(), len(self._data.classes)
        self._x = torch.from_numpy(x.astype(np.float32)).to(device)
        self._y = torch.from_numpy(labels).long().to(device)
        self._head = nn.Linear(model.encoder.num_features, classes).to(device)
        optimizer = torch.optim.AdamW(self._head.parameters(), weight_decay=config.weight_decay)
        batches = self._batches(_order(rows, labels[rows], config))
        self._training = _EpochTraining(
            self._head, optimizer, batches, labels[rows], epochs, classes, config
        )

    def _batches(self, order: Sampler[tuple[int, Positions]]) -> Batches:
        for _, rows in order:
            yield [self._x[rows]], self._y[rows]

    @torch.no_grad()
    def predict(
        self, part: Literal["val", "test"]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Returns labels (n,), probabilities (n, K) and groups (n,) of the images of a part."""
        rows = self._data.test if part == "test" else self._data.val
        probabilities = self._head(self._x[rows]).softmax(dim=1).cpu().numpy()
        return self._data.labels[rows], probabilities, self._data.groups[rows]

    @torch.no_grad()
    def classifier(self) -> Classifier:
        """Returns the encoder with the trained head."""
        classifier = Classifier(self._encoder, len(self._data.classes))
        weight = self._head.weight.double().cpu() / torch.from_numpy(self._std)
        bias = self._head.bias.double().cpu() - weight @ torch.from_numpy(self._mean)
        classifier.head.weight.copy_(weight)
        classifier.head.bias.copy_(bias)
        return classifier


class EncoderTraining(_ClassifierTraining):
    """Trains the layers that are not frozen, on augmented images.

    Args:
        model: The encoder, which stays as it is.
        data: Labeled images in three parts.
        config: Options.
        epochs: Length of the learning-rate schedule.
        with_val: Whether to learn from the validation part too.
    """

    def __init__(
        self,
        model: Pretrained,
        data: EvaluationData,
        config: FineTuningConfig,
        epochs: int,
        with_val: bool,
    ) -> None:
        torch.manual_seed(config.seed)
        self._model, self._data, self._config = model, data, config
        self._sizes = config.image_sizes or (model.image_size,)
        parts, index = data.parts, data.dataset.index
        rows = np.sort(np.concatenate([parts.train, parts.val])) if with_val else parts.train
        classifier = self._initial(epochs, with_val)
        self._classifier: Classifier = classifier.to(  # type: ignore[call-overload]
            choose_device(), memory_format=torch.channels_last
        )
        optimizer = layerwise_optimizer(
            self._classifier, config.lr, config.weight_decay, config.layer_decay
        )
        labels, classes = index.labels[rows], len(index.classes)
        self._training = _EpochTraining(
            self._classifier, optimizer, self._batches(rows), labels, epochs, classes, config
        )

    def _initial(self, epochs: int, with_val: bool) -> Classifier:
        """Makes the classifier; "head-then-all" trains its head first, as LP-FT does.

        Kumar et al. 2022, https://arxiv.org/abs/2202.10054.
        """
        freeze, classes = self._config.freeze, len(self._data.dataset.index.classes)
        if freeze != "head-then-all":
            classifier = Classifier(self._model.encoder, classes)
            classifier.freeze(freeze)
            return classifier
        head = HeadTraining(self._model, self._data, self._config, epochs, with_val)
        for _ in range(epochs):
            head.epoch()
        return head.classifier()

    def _batches(self, rows: Positions) -> Batches:
        config, index = self._config, self._data.dataset.index
        views = [View(size, _CROP, config.policy) for size in self._sizes]
        order = _order(rows, index.labels[rows], config)
        for batch in training_views(
            *(self._model, self._data, rows, views, config.batch_size, config.seed, order)
        ):
            labels = torch.from_numpy(index.labels[batch[1]]).long()
            yield batch[0], labels.to(choose_device())

    def predict(
        self, part: Literal["val", "test"]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Returns labels (n,), probabilities (n, K) and groups (n,) of the images of a part.

        Probabilities are means over the sizes of the views; images that cannot be read are left
        out.
        """
        positions, index = getattr(self._data.parts, part), self._data.dataset.index
        probabilities = []
        for size in self._sizes:
            encoder = cast(Encoder, self._classifier)  # its forward is all that embed calls
            model = replace(self._model, encoder=encoder, image_size=size)
            logits, rows = self._data.embed(model, positions)
            probabilities.append(torch.from_numpy(logits).softmax(dim=1).numpy())
        return index.labels[rows], np.mean(probabilities, axis=0), index.groups[rows]

    def classifier(self) -> Classifier:
        """Returns the trained classifier, on the CPU."""
        return self._classifier.cpu()
