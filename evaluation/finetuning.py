"""Fine-tuning: a classifier trained on labeled images, starting from an encoder's weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import Sampler

from ..core.config import Config
from ..core.encoder import Encoder
from ..core.errors import RunError
from ..core.view import View
from ..data.loader import ViewDataset, choose_workers, load
from ..data.order import Stream
from ..data.splits import Positions
from ..data.standardize import Standardize
from ..data.views import Renderer
from ..training.device import choose_device
from ..training.optim import learning_rate, set_learning_rate
from ..training.precision import choose_precision
from ..training.settings import OptimizerConfig
from .class_balance import Balanced, balanced_loss
from .classifier import Classifier, layerwise_optimizer
from .data import EvaluationData
from .metrics import balanced_accuracy
from .pretrained import Pretrained
from .result import Result

_SEEN = 8_000
_CHECKS = 10  # looks at the validation part
_CROP = (0.5, 1.0)  # share of the area

Batches = Iterator[tuple[list[Tensor], Tensor]]
"""Views (B, C, H, W), or features (B, D), of some images, and their labels (B,)."""

Part = Literal["val", "test"]
Answers = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Labels (m,), probabilities (m, K), groups (m,)."""


class FineTuningConfig(Config):
    """Options of fine-tuning."""

    freeze: Annotated[
        str,
        Field(
            pattern=r"^(all|none|head-then-all|quartile|last:[1-9][0-9]*)$",
            description="all (the head is trained), none, head-then-all, last:N (the last N "
            "layers are trained), quartile (the last quarter of them)",
        ),
    ] = "none"
    layer_decay: Annotated[
        float, Field(gt=0, le=1, description="rate of a layer, as a share of the next one's")
    ] = 1.0
    epochs: Annotated[
        int | None, Field(ge=1, description="left out: 8,000 images seen, 10 to 100 epochs")
    ] = None
    lr: Annotated[
        float, Field(gt=0, description="peak rate for a batch of 256; scaled linearly")
    ] = 4e-3
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.05
    batch_size: Annotated[int, Field(ge=2, description="images a step")] = 64
    image_sizes: Annotated[
        tuple[Annotated[int, Field(ge=8)], ...],
        Field(description="pixels of the views of a step, together; left out: the encoder's"),
    ] = ()
    policy: Annotated[str, Field(description="the domain's policy that alters images")] = "weak"
    balance: Annotated[
        Literal["none", "sampler", "weights", "focal"],
        Field(description="what makes up for rare classes"),
    ] = "none"
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], Field(description="that training computes in")
    ] = "auto"
    seed: Annotated[int, Field(ge=0, description="of order and augmentations")] = 0


def epochs_for(images: int) -> int:
    """Returns the epochs in which 8,000 images are seen, but at least 10 and at most 100."""
    return max(10, min(100, round(_SEEN / images)))


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned classifier and what it said of the test images."""

    classifier: Classifier
    result: Result


def fine_tune(
    model: Pretrained,
    data: EvaluationData,
    config: FineTuningConfig,
    advance: Callable[[int, int, float], None] = lambda done, epochs, loss: None,
) -> FineTuned:
    """Trains a classifier, starting from an encoder, and tests it once.

    Where there are validation images, a first training on the others finds the number of epochs
    that tells them apart best, and a second one learns from both for as long. Without, all epochs
    are taken.

    Args:
        model: Left as it is.
        data: Labeled images in three parts.
        config: Options.
        advance: Called after each epoch with its number, how many there are, and the mean loss.

    Raises:
        RunError: If the loss is not finite.
        UsageError: If more layers are to be trained than there are.
    """
    parts = data.parts
    epochs = config.epochs or epochs_for(len(parts.train) + len(parts.val))
    kind = _OnFeatures if config.freeze == "all" else _OnImages
    chosen, validation = epochs, None
    with torch.random.fork_rng():
        if len(parts.val):
            first = kind(model, data, config, epochs, with_val=False)
            chosen, validation = _choose(first, epochs, len(data.dataset.index.classes), advance)
        fit = kind(model, data, config, epochs, with_val=True)
        for done in range(1, chosen + 1):
            loss = fit.epoch()
            advance(done, chosen, loss)
        labels, answers, groups = fit.answers("test")
        classifier = fit.classifier()
    result = Result.of_classification(
        labels,
        answers,
        groups,
        data.dataset.index.classes,
        validation,
        epochs=chosen,
        of_epochs=epochs,
        training_loss=loss,
    )
    return FineTuned(classifier, result)


class _Fit(Protocol):
    """One training, an epoch at a time."""

    def epoch(self) -> float: ...

    def answers(self, part: Part) -> Answers: ...


def _choose(
    fit: _Fit, epochs: int, classes: int, advance: Callable[[int, int, float], None]
) -> tuple[int, tuple[NDArray[Any], NDArray[Any]]]:
    """Trains to the end, and returns the best number of epochs and what was said after them.

    Best is the highest balanced accuracy of the validation images, then the lowest cross-entropy.
    """
    looks = set(np.linspace(0, epochs, min(_CHECKS, epochs) + 1)[1:].round().astype(int).tolist())
    best, chosen, validation = (-math.inf, -math.inf), epochs, None
    for done in range(1, epochs + 1):
        advance(done, epochs, fit.epoch())
        if done not in looks:
            continue
        labels, said, _ = fit.answers("val")
        confusion = np.zeros((classes, classes))
        np.add.at(confusion, (labels, said.argmax(axis=1)), 1)
        right = said[np.arange(len(labels)), labels]
        score = (float(balanced_accuracy(confusion)), float(np.log(right + 1e-12).mean()))
        if validation is None or score > best:
            best, chosen, validation = score, done, (labels, said)
    assert validation is not None  # noqa: S101  the last epoch is looked at
    return chosen, validation


class _Steps:
    """The steps of a training.

    Args:
        net: Maps what the batches hold to logits (B, K).
        optimizer: Of its parameters.
        batches: Endless.
        labels: (n,) of the images to learn from.
        epochs: How many the schedule is for.
        classes: K.
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
        self._net, self._optimizer, self._batches = net, optimizer, batches
        self._rate = OptimizerConfig(lr=config.lr, warmup=0.1)
        self._batch_size = min(config.batch_size, len(labels))
        self._per_epoch = len(labels) // self._batch_size
        self._steps, self._step = epochs * self._per_epoch, 0
        self._device = next(net.parameters()).device
        self._loss = balanced_loss(config.balance, labels, classes, self._device)
        self._half = choose_precision(config.precision) == "bf16"

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss."""
        self._net.train()
        total = torch.zeros((), device=self._device)
        for _ in range(self._per_epoch):
            inputs, labels = next(self._batches)
            rate = learning_rate(self._step, self._steps, self._rate, self._batch_size)
            set_learning_rate(self._optimizer, rate)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                logits = [self._net(x) for x in inputs]
            loss = torch.stack([self._loss(z.float(), labels) for z in logits]).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            self._step += 1
            total += loss.detach()
        mean = float(total) / self._per_epoch
        if not math.isfinite(mean):
            raise RunError(f"The loss of fine-tuning became {mean}. Lower its lr.")
        return mean


def _order(
    pool: Positions, labels: NDArray[Any], config: FineTuningConfig
) -> Sampler[tuple[int, Positions]]:
    batch_size = min(config.batch_size, len(pool))
    if config.balance == "sampler":
        return Balanced(pool, labels, batch_size, config.seed)
    return Stream(pool, batch_size, config.seed)


class _OnFeatures:
    """Trains the head alone, on features that are computed once.

    It learns from features with a mean of 0 and a variance of 1; `classifier` takes that into its
    weights.
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
        self._encoder, self._found = model.encoder, data.features(model)
        found, classes = self._found, len(self._found.classes)
        rows = found.known if with_val else found.train
        known = found.features[rows].astype(np.float64)
        self._mean, self._std = known.mean(axis=0), known.std(axis=0) + 1e-6
        x = (found.features - self._mean) / self._std
        self._x = torch.from_numpy(x.astype(np.float32)).to(choose_device())
        self._y = torch.from_numpy(found.labels).long().to(choose_device())
        self._head = nn.Linear(model.encoder.num_features, classes).to(choose_device())
        optimizer = torch.optim.AdamW(self._head.parameters(), weight_decay=config.weight_decay)
        batches = self._batches(_order(rows, found.labels[rows], config))
        labels = found.labels[rows]
        self._steps = _Steps(self._head, optimizer, batches, labels, epochs, classes, config)

    def _batches(self, order: Sampler[tuple[int, Positions]]) -> Batches:
        for _, rows in order:
            yield [self._x[rows]], self._y[rows]

    def epoch(self) -> float:
        return self._steps.epoch()

    @torch.no_grad()
    def answers(self, part: Part) -> Answers:
        rows = self._found.test if part == "test" else self._found.val
        said = self._head(self._x[rows]).softmax(dim=1).cpu().numpy()
        return self._found.labels[rows], said, self._found.groups[rows]

    @torch.no_grad()
    def classifier(self) -> Classifier:
        classifier = Classifier(self._encoder, len(self._found.classes))
        weight = self._head.weight.double().cpu() / torch.from_numpy(self._std)
        bias = self._head.bias.double().cpu() - weight @ torch.from_numpy(self._mean)
        classifier.head.weight.copy_(weight)
        classifier.head.bias.copy_(bias)
        return classifier


class _OnImages:
    """Trains the layers that are not frozen, on altered images."""

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
        classes, labels = len(index.classes), index.labels[rows]
        classifier = self._start(epochs, with_val)
        device = choose_device()
        self._classifier: Classifier = classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = layerwise_optimizer(
            self._classifier, config.lr, config.weight_decay, config.layer_decay
        )
        batches = self._batches(rows)
        self._steps = _Steps(self._classifier, optimizer, batches, labels, epochs, classes, config)

    def _start(self, epochs: int, with_val: bool) -> Classifier:
        """Makes the classifier; "head-then-all" trains its head first, as LP-FT does.

        Kumar et al. 2022, https://arxiv.org/abs/2202.10054.
        """
        freeze, classes = self._config.freeze, len(self._data.dataset.index.classes)
        if freeze != "head-then-all":
            classifier = Classifier(self._model.encoder, classes)
            classifier.freeze(freeze)
            return classifier
        head = _OnFeatures(self._model, self._data, self._config, epochs, with_val)
        for _ in range(epochs):
            head.epoch()
        return head.classifier()

    def _batches(self, rows: Positions) -> Batches:
        data, config, device = self._data, self._config, choose_device()
        views = tuple(View(size, _CROP, config.policy) for size in self._sizes)
        renderer = Renderer(data.domain.policies, views, data.dataset.channels, config.seed)
        statistics, index = self._model.statistics, data.dataset.index
        standardize = Standardize(statistics.mean, statistics.std, device)
        order = _order(rows, index.labels[rows], config)
        images, workers = ViewDataset(data.dataset, rows, renderer), choose_workers(data.workers)
        for raw in load(images, order, workers, device.type == "cuda"):
            bad = {key for key, _ in raw.skipped}  # another image stands in its place
            there = [n for n, i in enumerate(raw.indices.tolist()) if index.key(i) not in bad]
            if len(there) < 2:
                continue
            labels = torch.from_numpy(index.labels[raw.indices[there].numpy()]).long().to(device)
            yield [standardize(view[there]) for view in raw.views], labels

    def epoch(self) -> float:
        return self._steps.epoch()

    def answers(self, part: Part) -> Answers:
        positions, index = getattr(self._data.parts, part), self._data.dataset.index
        said = []
        for size in self._sizes:
            mine = cast(Encoder, self._classifier)  # its forward is all that embed asks for
            seen = replace(self._model, encoder=mine, image_size=size)
            logits, rows = self._data.embed(seen, positions)
            said.append(torch.from_numpy(logits).softmax(dim=1).numpy())
        return index.labels[rows], np.mean(said, axis=0), index.groups[rows]

    def classifier(self) -> Classifier:
        return self._classifier.cpu()
