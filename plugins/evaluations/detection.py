"""Detection: a Faster or Mask R-CNN is trained that starts from the encoder, and tested once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

from ssl_kit import (
    Config,
    DataError,
    Evaluation,
    EvaluationData,
    Pretrained,
    Result,
    RunError,
    UsageError,
)
from ssl_kit.core.classifier import Classifier
from ssl_kit.core.config import OptimizerConfig
from ssl_kit.core.loader import choose_workers
from ssl_kit.core.optim import learning_rate, make_optimizer, set_learning_rate
from ssl_kit.core.statistics import Floats, Weights, bootstrap

from .annotations import Annotations, Objects, read_annotations
from .average_precision import AveragePrecision, Marked, match
from .detector import detector
from .marked_images import Images, Positions, Seen, Unreadable
from .outlines import encode

_TEST = 0.2  # of the groups, where no test part is declared
_LONGEST = 10.0  # norm of a gradient
_REFERENCE = 256  # batch size for which a rate is as given


class DetectionConfig(Config):
    """Options of detection."""

    annotations: Annotated[
        str, Field(min_length=1, description="a COCO JSON file, or a folder of VOC XML files")
    ]
    size: Annotated[int, Field(ge=32, description="pixels of the longer side of an image")] = 512
    epochs: Annotated[int, Field(ge=1, description="how often each image is seen")] = 12
    batch_size: Annotated[int, Field(ge=2, description="images a step")] = 8
    lr: Annotated[float, Field(gt=0, description="peak rate of AdamW, warmed up")] = 5e-4
    freeze: Annotated[
        str,
        Field(
            pattern=r"^(all|none|quartile|last:[1-9][0-9]*)$",
            description="none (all layers of the encoder are trained), all (none of them), "
            "last:N (the last N), quartile (the last quarter)",
        ),
    ] = "none"
    seed: Annotated[int, Field(ge=0, description="of new layers, order and mirroring")] = 0


class Detection(Evaluation):
    """How well does a detector find objects that was trained from the encoder's weights?

    Where the dataset declares no test part and has no labels, a fifth of the annotated groups is
    tested on. Where every object has an outline, masks are found too.
    """

    Config = DetectionConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Trains on the annotated images outside of the test part, and tests once."""
        model.check(data.dataset)
        annotations = read_annotations(Path(self.config.annotations))
        objects = annotations.located(data.dataset.index)
        train, test = _parts(data, objects)
        devices = list(range(torch.cuda.device_count()))
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.config.seed)
            training = Training(model, data, annotations, objects, train, self.config)
            for _ in range(self.config.epochs):
                loss = training.epoch()
            truth, found, rows = training.answers(test)
        return judge(
            annotations.classes,
            truth,
            found,
            data.dataset.index.groups[rows],
            annotations.have_masks,
            images={"train": len(train), "test": len(rows)},
            training_loss=loss,
            remarks=training.remarks(),
        )

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the annotated images that are tested on."""
        annotations = read_annotations(Path(self.config.annotations))
        return _parts(data, annotations.located(data.dataset.index))[1]


def _parts(data: EvaluationData, objects: Mapping[int, Objects]) -> tuple[Positions, Positions]:
    """Returns the positions of annotated images to learn from and to test on."""
    annotated, groups, there = np.array(sorted(objects)), data.dataset.index.groups, data.splits
    train = np.intersect1d(np.concatenate([there.train, there.val]), annotated)
    test = np.intersect1d(there.test, annotated)
    if not len(there.test) and len(np.unique(groups[train])) > 1:
        drawn = GroupShuffleSplit(1, test_size=_TEST, random_state=0)
        learnt, tested = next(drawn.split(train, groups=groups[train]))
        train, test = train[learnt], train[tested]
    if len(train) < 2 or not len(test):
        raise UsageError(
            f"Detection needs annotated images to learn from and to test on; there are "
            f"{len(train)} and {len(test)}. Annotate more, or give --labels a CSV with path and "
            "split."
        )
    return train, test


class Training:
    """A detector on its way from the encoder's weights.

    Args:
        model: Left as it is.
        data: The images.
        annotations: What is marked in them.
        objects: The same, by position.
        train: Positions to learn from.
        config: Options.
    """

    def __init__(
        self,
        model: Pretrained,
        data: EvaluationData,
        annotations: Annotations,
        objects: Mapping[int, Objects],
        train: Positions,
        config: DetectionConfig,
    ) -> None:
        self._data, self._objects, self._config = data, objects, config
        self._masks = annotations.have_masks
        self._unmatched = len(annotations.objects) - len(objects)
        self._dropped, self._unreadable = dict[str, int](), dict[str, str]()
        self._body = Classifier(model.encoder, 1)  # for its copy, and which layers are trained
        self._body.freeze(config.freeze)
        net = detector(
            self._body.encoder,
            len(annotations.classes),
            config.size,
            model.statistics.mean,
            model.statistics.std,
            self._masks,
        )
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._net: nn.Module = net.to(self._device)
        self._batches = self._load(train, learn=True)
        self._rate = OptimizerConfig(lr=config.lr, warmup=0.1, weight_decay=0.05)
        self._optimizer = make_optimizer(net, self._rate)
        self._steps, self._step = config.epochs * len(self._batches), 0
        self._mirrored = torch.Generator().manual_seed(config.seed)

    def _load(self, positions: Positions, learn: bool) -> DataLoader[Seen | Unreadable]:
        size, workers = self._config.size, choose_workers(self._data.workers)
        images = Images(self._data.dataset, self._objects, positions, size, self._masks, learn)
        batch_size = min(self._config.batch_size, len(positions))
        return DataLoader(
            images,
            batch_size,
            shuffle=learn,
            drop_last=learn,
            num_workers=workers,
            persistent_workers=learn and workers > 0,
            collate_fn=list,
            generator=torch.Generator().manual_seed(self._config.seed),
        )

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss.

        Raises:
            RunError: If it is not finite.
            DataError: If hardly an image can be read.
        """
        self._net.train()
        self._body.train()  # what is frozen stays in evaluation mode
        losses = [
            self._learn(seen) for batch in self._batches if len(seen := self._read(batch)) > 1
        ]
        if not losses:
            key, reason = next(iter(self._unreadable.items()))
            raise DataError(f"The images to learn from cannot be read, such as '{key}': {reason}.")
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise RunError(f"The loss of detection became {mean}. Lower its lr.")
        return mean

    def _read(self, batch: Sequence[Seen | Unreadable]) -> list[Seen]:
        """Keeps what could be read, and notes what was left out."""
        self._unreadable |= {one.key: one.reason for one in batch if isinstance(one, Unreadable)}
        seen = [one for one in batch if isinstance(one, Seen)]
        self._dropped |= {one.key: one.dropped for one in seen}
        return seen

    def _learn(self, batch: Sequence[Seen]) -> Tensor:
        rate = learning_rate(self._step, self._steps, self._rate, _REFERENCE)
        set_learning_rate(self._optimizer, rate)
        turned = (torch.rand(len(batch), generator=self._mirrored) < 0.5).tolist()
        pairs = [seen.targets(turn) for seen, turn in zip(batch, turned, strict=True)]
        images = [image.to(self._device) for image, _ in pairs]
        targets = [{k: v.to(self._device) for k, v in t.items()} for _, t in pairs]
        loss: Tensor = torch.stack(list(self._net(images, targets).values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), _LONGEST)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        return loss.detach()

    @torch.inference_mode()
    def answers(self, test: Positions) -> tuple[list[Marked], list[Marked], Positions]:
        """Returns the objects, what is found and the position, of each image that can be read.

        Raises:
            DataError: If there is none.
        """
        self._net.eval()
        truth, found = [], []
        for batch in self._load(test, learn=False):
            for one in self._read(batch):
                said = self._net([one.image.to(self._device)])[0]
                truth.append(_truth(one))
                found.append(_found({k: v.cpu() for k, v in said.items()}, one))
        if not truth:
            raise DataError("None of the test images can be read; see the files themselves.")
        index = self._data.dataset.index
        readable = [index.key(i) not in self._unreadable for i in test.tolist()]
        return truth, found, test[np.array(readable)]

    def remarks(self) -> list[str]:
        """Says what was left out."""
        counts = {
            "boxes are empty or outside of their image": sum(self._dropped.values()),
            "images cannot be read or have another size than annotated": len(self._unreadable),
            "annotated images are not among the data": self._unmatched,
        }
        return [f"{count} {what}; they were left out." for what, count in counts.items() if count]


def _truth(one: Seen) -> Marked:
    objects = one.objects
    return Marked(
        objects.boxes, objects.labels, objects.areas, one.packed, objects.ignored.tolist()
    )


def _found(said: Mapping[str, Tensor], one: Seen) -> Marked:
    """Brings detections back to the pixels of the image as it is read."""
    packed = [
        encode((interpolate(mask[None], one.size, mode="bilinear")[0, 0] >= 0.5).numpy())
        for mask in said.get("masks", ())
    ]
    return Marked(
        said["boxes"].double().numpy() / one.scale,
        said["labels"].numpy() - 1,
        masks=packed,
        scores=said["scores"].tolist(),
    )


def judge(
    classes: Sequence[str],
    truth: Sequence[Marked],
    found: Sequence[Marked],
    groups: NDArray[Any],
    masks: bool = False,
    **details: Any,
) -> Result:
    """Judges what was found in the test images.

    Args:
        classes: K names.
        truth: The objects of each image.
        found: What was found in it.
        groups: (n,) group numbers of the images, of any values.
        masks: Whether to judge masks, "mask_AP", besides boxes.
        details: Anything else worth keeping, as plain values.

    Raises:
        UsageError: If there is no object.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    parts = [AveragePrecision(match(truth, found, len(classes)), codes)]
    if masks:
        parts.append(AveragePrecision(match(truth, found, len(classes), "segm"), codes, "mask_"))

    def statistic(weights: Weights) -> dict[str, Floats]:
        return {name: values for part in parts for name, values in part(weights).items()}

    count = int(codes.max()) + 1
    metrics, draws = bootstrap(statistic, count, parts[0].rows)
    there = [name for name, value in metrics.items() if not math.isnan(value.value)]
    if not there:
        raise UsageError("No test image has an object, so that nothing can be found in them.")
    rows = [
        {"class": name} | {k: v for part in each for k, v in part.items()}
        for name, *each in zip(classes, *(part.by_class() for part in parts), strict=True)
    ]
    return Result(
        {name: metrics[name] for name in there},
        {name: draws[name] for name in there},
        "AP",
        [row for row in rows if row["objects"]],
        parts[0].by_group(),
        details,
    )
