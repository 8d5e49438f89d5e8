"""Detection: a Faster or Mask R-CNN is trained that starts from the encoder, and tested once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ssl_kit import (
    Config,
    DataError,
    Dataset,
    Evaluation,
    EvaluationData,
    Pretrained,
    Result,
    RunError,
    UsageError,
)
from ssl_kit.core.classifier import Classifier
from ssl_kit.core.loader import choose_workers
from ssl_kit.core.statistics import Floats, Weights, bootstrap

from .annotations import Annotations, Objects, read_annotations
from .average_precision import AveragePrecision, Marked, match
from .detector import detector
from .outlines import encode, mask_of

Positions = NDArray[np.int64]
Targets = dict[str, Tensor]
_TEST = 0.2  # of the groups, where no test part is declared
_WARMUP = 0.1  # of the steps
_LONGEST = 10.0  # norm of a gradient


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


@dataclass(frozen=True)
class Seen:
    """One image and what is marked in it, as the detector sees them.

    Attributes:
        image: (C, h, w) float32 in [0, 1].
        objects: In pixels of the image as it is read.
        size: H and W of that.
        dropped: Number of boxes left out.
        masks: (n, h, w) uint8 of the objects; None if there are boxes only.
        packed: The same, H by W, for pycocotools; none in training.
    """

    image: Tensor
    objects: Objects
    size: tuple[int, int]
    dropped: int
    masks: Tensor | None
    packed: tuple[dict[str, Any], ...]

    @property
    def scale(self) -> NDArray[np.float64]:
        """(4,) what turns boxes as they are read into boxes as they are seen."""
        height, width = self.size
        return np.tile([self.image.shape[2] / width, self.image.shape[1] / height], 2)

    def targets(self, mirrored: bool) -> tuple[Tensor, Targets]:
        """Returns the image and what torchvision's detectors learn from it."""
        boxes = torch.from_numpy(self.objects.boxes * self.scale).float()
        targets = {"boxes": boxes, "labels": torch.from_numpy(self.objects.labels + 1)}
        if self.masks is not None:
            targets["masks"] = self.masks
        return mirror(self.image, targets) if mirrored else (self.image, targets)


def mirror(image: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
    """Mirrors an image (C, h, w), its boxes (n, 4) and masks (n, h, w) from left to right."""
    x1, y1, x2, y2 = targets["boxes"].unbind(dim=1)
    width = image.shape[2]
    mirrored = {**targets, "boxes": torch.stack([width - x2, y1, width - x1, y2], dim=1)}
    if "masks" in targets:
        mirrored["masks"] = targets["masks"].flip(-1)
    return image.flip(-1), mirrored


class Images(TorchDataset[Seen | str]):
    """Reads images with their objects; one that cannot be read is the reason why.

    Args:
        dataset: The images.
        objects: By position.
        positions: Which of them.
        size: Pixels of the longer side.
        masks: Whether outlines are wanted.
        learn: Whether to leave out what is not to be learnt; else masks are packed too.
    """

    def __init__(
        self,
        dataset: Dataset,
        objects: Mapping[int, Objects],
        positions: Positions,
        size: int,
        masks: bool,
        learn: bool,
    ) -> None:
        self._dataset, self._objects, self._positions = dataset, objects, positions
        self._size, self._masks, self._learn = size, masks, learn

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, n: int) -> Seen | str:
        """Reads image n."""
        position = int(self._positions[n])
        try:
            return self._see(self._dataset[position].image, self._objects[position])
        except DataError as error:
            return str(error)

    def _see(self, image: NDArray[Any], marked: Objects) -> Seen:
        height, width = image.shape[:2]
        objects = marked.within(height, width)
        dropped = len(marked) - len(objects)
        objects = objects.of(~objects.ignored) if self._learn else objects
        unit = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()
        unit = unit / 255 if image.dtype == np.uint8 else unit
        scale = self._size / max(height, width)
        small = (max(1, round(height * scale)), max(1, round(width * scale)))
        seen = interpolate(unit[None], small, mode="bilinear", antialias=True)[0]
        masks, packed = None, ()
        if self._masks and self._learn:
            masks = torch.zeros((len(objects), *small), dtype=torch.uint8)
            for row, filled in enumerate(_filled(objects, height, width)):
                masks[row] = interpolate(torch.from_numpy(filled)[None, None], small)[0, 0]
        elif self._masks:
            packed = tuple(encode(filled) for filled in _filled(objects, height, width))
        return Seen(seen, objects, (height, width), dropped, masks, packed)


def _filled(objects: Objects, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yields the mask of each object, (H, W); without an outline it is the box."""
    for outline, box in zip(objects.outlines, objects.boxes, strict=True):
        if outline:
            yield mask_of(outline, height, width)
        else:
            x1, y1, x2, y2 = box.round().astype(int)
            mask = np.zeros((height, width), dtype=np.uint8)
            mask[y1:y2, x1:x2] = 1
            yield mask


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
        return _result(
            annotations,
            truth,
            found,
            data.dataset.index.groups[rows],
            images={"train": len(train), "test": len(rows), "unmatched": training.unmatched},
            training_loss=loss,
            remarks=training.remarks(),
        )

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the annotated images that are tested on."""
        annotations = read_annotations(Path(self.config.annotations))
        return _parts(data, annotations.located(data.dataset.index))[1]


def _parts(data: EvaluationData, objects: Mapping[int, Objects]) -> tuple[Positions, Positions]:
    """Returns the positions of annotated images to learn from and to test on."""
    annotated, groups = np.array(sorted(objects), dtype=np.int64), data.dataset.index.groups
    test = np.intersect1d(data.splits.test, annotated)
    if not len(data.splits.test) and len(np.unique(groups[annotated])) > 1:
        drawn = GroupShuffleSplit(1, test_size=_TEST, random_state=0)
        test = annotated[next(drawn.split(annotated, groups=groups[annotated]))[1]]
    train = np.setdiff1d(annotated, np.concatenate([test, data.splits.test]))
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

    Attributes:
        unmatched: Number of annotated images that are not among the data.
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
        self.unmatched = len(annotations.objects) - len(objects)
        self._counts: Counter[str] = Counter()
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
        self._optimizer = torch.optim.AdamW(
            [p for p in net.parameters() if p.requires_grad], config.lr, weight_decay=0.05
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            config.lr,
            total_steps=max(10, config.epochs * len(self._batches)),
            pct_start=_WARMUP,
            cycle_momentum=False,
        )
        self._mirrored = torch.Generator().manual_seed(config.seed)

    def _load(self, positions: Positions, learn: bool) -> DataLoader[Seen | str]:
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
            DataError: If no image can be read.
        """
        self._net.train()
        self._body.train()  # what is frozen stays in evaluation mode
        losses = [self._step(seen) for batch in self._batches if len(seen := _readable(batch)) > 1]
        if not losses:
            raise DataError(
                "Of no two images of a step can both be read; see the files themselves."
            )
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise RunError(f"The loss of detection became {mean}. Lower its lr.")
        return mean

    def _step(self, batch: Sequence[Seen]) -> Tensor:
        turned = torch.rand(len(batch), generator=self._mirrored) < 0.5
        pairs = [seen.targets(bool(turn)) for seen, turn in zip(batch, turned, strict=True)]
        images = [image.to(self._device) for image, _ in pairs]
        targets = [{k: v.to(self._device) for k, v in t.items()} for _, t in pairs]
        loss: Tensor = torch.stack(list(self._net(images, targets).values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), _LONGEST)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._schedule.step()
        return loss.detach()

    @torch.inference_mode()
    def answers(self, test: Positions) -> tuple[list[Marked], list[Marked], Positions]:
        """Returns the objects and what is found, for each image that can be read."""
        self._net.eval()
        truth, found, readable = [], [], []
        for batch in self._load(test, learn=False):
            for one in batch:
                readable.append(isinstance(one, Seen))
                if isinstance(one, Seen):
                    self._counts["dropped"] += one.dropped
                    truth.append(_truth(one))
                    found.append(_found(self._net([one.image.to(self._device)])[0], one))
        if not truth:
            raise DataError("None of the test images can be read; see the files themselves.")
        return truth, found, test[np.array(readable)]
