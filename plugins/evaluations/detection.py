"""Detection: a Faster or Mask R-CNN is trained that starts from the encoder, and tested once."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.model_selection import GroupShuffleSplit
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from ... import Config, DataError, Evaluation, RunError, UsageError
from ...data import choose_workers
from ...evaluation import EvaluationData, Pretrained, Result, bootstrap_estimates, choose_device
from .annotations import Located, read_annotations
from .average_precision import AveragePrecision, Floats, Marked, Weights, match
from .detector import detector
from .marked_images import Images, Positions, Seen, Unreadable
from .outlines import encode

_TEST = 0.2  # of the groups, where no test part is declared
_LONGEST = 10.0  # norm of a gradient
_WARMUP = 0.1  # of the steps
_DECAY = 0.05  # of weights


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
        Literal["none", "all"],
        Field(description="layers of the encoder that keep their weights and batch statistics"),
    ] = "none"
    seed: Annotated[int, Field(ge=0, description="of new layers, order and mirroring")] = 0


class Detection(Evaluation):
    """How well does a detector find objects that was trained from the encoder's weights?

    Where the dataset declares no test part and has no labels, a fifth of the annotated groups is
    tested on. Where every object has an outline, masks are found too.
    """

    Config = DetectionConfig
    quick: ClassVar[Mapping[str, Any]] = {"epochs": 1, "size": 32}

    @classmethod
    def example(cls, data: EvaluationData, folder: Path) -> Mapping[str, Any]:
        """Marks the whole of every 60th image; returns the options that name the file."""
        images, marked = [], []
        for i in range(0, len(data.dataset), 60):
            sample = data.dataset[i]
            height, width = sample.image.shape[:2]
            images.append({"id": i, "file_name": sample.key})
            marked.append({"image_id": i, "category_id": 1, "bbox": [0, 0, width, height]})
        names = [{"id": 1, "name": "image"}]
        whole = {"images": images, "annotations": marked, "categories": names}
        (folder / "coco.json").write_text(json.dumps(whole))
        return {"annotations": str(folder / "coco.json")}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Trains on the annotated images outside of the test part, and tests once."""
        model.check(data.dataset)
        located = self._located(data)
        train, test = _parts(data, located)
        with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
            torch.manual_seed(self.config.seed)
            training = Training(model, data, located, train, self.config)
            for _ in range(self.config.epochs):
                loss = training.epoch()
            truth, found, rows = training.answers(test)
        return judge(
            located.classes,
            truth,
            found,
            data.dataset.index.groups[rows],
            located.have_masks,
            images={"train": len(train), "test": len(rows)},
            training_loss=loss,
            remarks=training.remarks(),
        )

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the annotated images that are tested on."""
        return _parts(data, self._located(data))[1]

    def _located(self, data: EvaluationData) -> Located:
        return read_annotations(Path(self.config.annotations)).located(data.dataset.index)


def _parts(data: EvaluationData, located: Located) -> tuple[Positions, Positions]:
    """Returns the positions of annotated images to learn from and to test on."""
    there, groups = data.splits, data.dataset.index.groups
    annotated = np.array(sorted(located.objects))
    train = np.intersect1d(np.concatenate([there.train, there.val]), annotated)
    test = np.intersect1d(there.test, annotated)
    if not len(there.test) and len(np.unique(groups[train])) > 1:
        drawn = GroupShuffleSplit(1, test_size=_TEST, random_state=0)
        learned, tested = next(drawn.split(train, groups=groups[train]))
        train, test = train[learned], train[tested]
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
        located: What is marked in them.
        train: Positions to learn from.
        config: Options.
    """

    def __init__(
        self,
        model: Pretrained,
        data: EvaluationData,
        located: Located,
        train: Positions,
        config: DetectionConfig,
    ) -> None:
        self._data, self._located, self._config = data, located, config
        self._dropped, self._unreadable = dict[str, int](), dict[str, str]()
        self._device = choose_device()
        self.encoder = copy.deepcopy(model.encoder).requires_grad_(config.freeze == "none")
        net = detector(
            self.encoder,
            len(located.classes),
            config.size,
            model.statistics.mean,
            model.statistics.std,
            located.have_masks,
        )
        self._net: nn.Module = net.to(self._device)
        self._batches = self._load(train, learn=True)
        self._optimizer: torch.optim.Optimizer = create_optimizer_v2(
            self._net, opt="adamw", lr=config.lr, weight_decay=_DECAY
        )
        steps = config.epochs * len(self._batches)
        self._schedule = LambdaLR(self._optimizer, lambda step: rate(step, steps))
        self._mirrored = torch.Generator().manual_seed(config.seed)

    def _load(self, positions: Positions, learn: bool) -> DataLoader[Seen | Unreadable]:
        workers = choose_workers(self._data.workers)
        return DataLoader(
            Images(self._data.dataset, self._located, positions, self._config.size, learn),
            min(self._config.batch_size, len(positions)),
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
        self.encoder.train(self._config.freeze == "none")
        losses = [
            self._learn(seen) for batch in self._batches if len(seen := self._read(batch)) > 1
        ]
        if not losses:
            key, reason = next(iter(self._unreadable.items()))
            raise DataError(f"The images to learn from cannot be read, such as '{key}': {reason}.")
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise RunError(f"The loss of detection became {mean}. Lower detection.lr.")
        return mean

    def _read(self, batch: Sequence[Seen | Unreadable]) -> list[Seen]:
        """Keeps what could be read, and notes what was left out."""
        self._unreadable |= {one.key: one.reason for one in batch if isinstance(one, Unreadable)}
        seen = [one for one in batch if isinstance(one, Seen)]
        self._dropped |= {one.key: one.dropped for one in seen}
        return seen

    def _learn(self, batch: Sequence[Seen]) -> Tensor:
        turned = (torch.rand(len(batch), generator=self._mirrored) < 0.5).tolist()
        pairs = [seen.targets(turn) for seen, turn in zip(batch, turned, strict=True)]
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
        """Returns the objects, what is found and the position, of each image that can be read.

        Raises:
            DataError: If there is none.
        """
        self._net.eval()
        truth, found = [], []
        for batch in self._load(test, learn=False):
            for one in self._read(batch):
                said = self._net([one.image.to(self._device)])[0]
                truth.append(_marked(one))
                found.append(in_its_pixels({k: v.cpu() for k, v in said.items()}, one))
        if not truth:
            raise DataError("None of the test images can be read; see the files themselves.")
        index = self._data.dataset.index
        readable = [index.key(i) not in self._unreadable for i in test.tolist()]
        return truth, found, test[np.array(readable)]

    def remarks(self) -> list[str]:
        """Says what was left out."""
        counts = {
            "boxes are empty or outside of their image": sum(self._dropped.values()),
            "images, or what is marked in them, cannot be read": len(self._unreadable),
            "annotated images are not among the data": self._located.unmatched,
        }
        said = [f"{count} {what}; they were left out." for what, count in counts.items() if count]
        return said + [f"'{k}': {reason}" for k, reason in list(self._unreadable.items())[:1]]


def rate(step: int, steps: int) -> float:
    """Returns the share of the peak rate at a step: a linear warm-up, and half a cosine."""
    warm = max(1, round(_WARMUP * steps))
    return min(1.0, (step + 1) / warm) * (1 + math.cos(math.pi * step / steps)) / 2


def _marked(one: Seen) -> Marked:
    there = one.objects
    return Marked(
        there.boxes, there.labels, there.areas.tolist(), one.packed, there.ignored.tolist()
    )


def in_its_pixels(said: Mapping[str, Tensor], one: Seen) -> Marked:
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
    names, codes = np.unique(groups, return_inverse=True)
    parts = [AveragePrecision(match(truth, found, len(classes)), codes)]
    if masks:
        parts.append(AveragePrecision(match(truth, found, len(classes), "segm"), codes, "mask_"))

    def statistic(weights: Weights) -> dict[str, Floats]:
        return {name: values for part in parts for name, values in part(weights).items()}

    metrics, draws = bootstrap_estimates(statistic, len(names), parts[0].rows)
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
