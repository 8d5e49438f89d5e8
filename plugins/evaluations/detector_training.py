"""The training of a detector, an epoch at a time, and its detections."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from timm.optim import create_optimizer_v2, param_groups_weight_decay  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ... import Config, DataError, Output
from ...data import WorkerLoader, choose_workers
from ...evaluation import EvaluationData, Pretrained, TrainingStep, choose_device, mean_loss
from ...nn import without_weight_decay
from .annotations import Located
from .average_precision import Marked
from .detector import detector
from .frames import Frame
from .marked_images import DetectionSample, Images, Positions, Unreadable
from .outlines import encode

_MAX_NORM = 10.0  # of the gradient
_WARMUP = 0.1  # share of the steps
_WEIGHT_DECAY = 0.05


class DetectionConfig(Config):
    """Options of detection."""

    annotations: Annotated[
        str,
        Field(
            min_length=1,
            description="COCO JSON file, or folder of Pascal VOC XML files; its path, or its "
            "name in the folder of the images",
        ),
    ]
    size: Annotated[
        int, Field(ge=32, description="length in pixels of the longer side of an image")
    ] = 512
    epochs: Annotated[int, Field(ge=1, description="number of training epochs")] = 12
    batch_size: Annotated[int, Field(ge=2, description="number of images in a batch")] = 8
    lr: Annotated[
        float, Field(gt=0, description="peak learning rate of AdamW, after a linear warm-up")
    ] = 5e-4
    freeze: Annotated[
        Literal["none", "all"],
        Field(description="encoder layers whose weights and batch statistics are not trained"),
    ] = "none"
    detections: Annotated[
        int,
        Field(
            ge=1, description="largest number of detections in an image; masks of many take long"
        ),
    ] = 100
    regions: Annotated[
        int, Field(ge=4, description="number of regions of an image that the heads are trained on")
    ] = 128
    frame: Annotated[
        Frame,
        Field(
            description="pixels that annotations are drawn on where EXIF turns an image: stored "
            "or shown; auto compares sizes and boxes"
        ),
    ] = "auto"
    seed: Annotated[
        int, Field(ge=0, description="random seed of the new layers, the order and the flips")
    ] = 0


class DetectorTraining:
    """Trains a detector that starts from the encoder's weights.

    Args:
        model: The encoder, which stays as it is.
        data: The images.
        located: The annotated objects.
        train: Positions of the training images.
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
            config.regions,
            config.detections,
        )
        self._net: nn.Module = net.to(self._device)
        self._batches = self._load(train, training=True)
        kept = without_weight_decay(self._net)
        groups = param_groups_weight_decay(self._net, _WEIGHT_DECAY, no_weight_decay_list=kept)
        optimizer: torch.optim.Optimizer = create_optimizer_v2(groups, opt="adamw", lr=config.lr)
        self._take_step = TrainingStep(self._net, optimizer, _MAX_NORM)
        self._steps, self._step = config.epochs * len(self._batches), 0
        self._flips = torch.Generator().manual_seed(config.seed)

    def _load(
        self, positions: Positions, training: bool
    ) -> WorkerLoader[list[DetectionSample | Unreadable]]:
        workers = choose_workers(self._data.workers)
        return WorkerLoader(
            Images(self._data.dataset, self._located, positions, self._config.size, training),
            batch_size=min(self._config.batch_size, len(positions)),
            shuffle=training,
            drop_last=training,
            num_workers=workers,
            persistent_workers=training and workers > 0,
            collate_fn=list,
            generator=torch.Generator().manual_seed(self._config.seed),
        )

    def epoch(self) -> float:
        """Trains for an epoch and returns the mean loss.

        Raises:
            RunError: If the loss is not finite.
            DataError: If hardly an image can be read.
        """
        self._net.train()
        self.encoder.train(self._config.freeze == "none")
        losses = []
        for batch in self._batches:
            samples = self._readable(batch)
            if len(samples) > 1:
                losses.append(self._train_on(samples))
        if not losses:
            key, reason = next(iter(self._unreadable.items()))
            raise DataError(f"The training images cannot be read, such as '{key}': {reason}.")
        return mean_loss(losses, "detection", "detection.lr")

    def _readable(self, batch: Sequence[DetectionSample | Unreadable]) -> list[DetectionSample]:
        """Returns the samples that could be read, and notes what was left out."""
        self._unreadable |= {one.key: one.reason for one in batch if isinstance(one, Unreadable)}
        samples = [one for one in batch if isinstance(one, DetectionSample)]
        self._dropped |= {sample.key: sample.dropped for sample in samples}
        return samples

    def _train_on(self, samples: Sequence[DetectionSample]) -> Tensor:
        flips = (torch.rand(len(samples), generator=self._flips) < 0.5).tolist()
        pairs = [sample.targets(flip) for sample, flip in zip(samples, flips, strict=True)]
        images = [image.to(self._device) for image, _ in pairs]
        targets = [{k: v.to(self._device) for k, v in t.items()} for _, t in pairs]
        lr = self._config.lr * schedule(self._step, self._steps)
        self._step += 1
        return self._take_step(
            lr, lambda: Output(torch.stack(list(self._net(images, targets).values())).sum())
        ).loss

    @torch.inference_mode()
    def detect(self, test: Positions) -> tuple[list[Marked], list[Marked], Positions]:
        """Returns the annotated objects, the detections and the position of each readable image.

        Raises:
            DataError: If no image can be read.
        """
        self._net.eval()
        truth, detections = [], []
        for batch in self._load(test, training=False):
            for sample in self._readable(batch):
                output = self._net([sample.image.to(self._device)])[0]
                truth.append(_annotated(sample))
                detections.append(in_its_pixels({k: v.cpu() for k, v in output.items()}, sample))
        if not truth:
            raise DataError("None of the test images can be read; see the files themselves.")
        index = self._data.dataset.index
        readable = [index.key(i) not in self._unreadable for i in test.tolist()]
        return truth, detections, test[np.array(readable)]

    def remarks(self) -> list[str]:
        """Returns sentences on what was left out."""
        counts = {
            "boxes are empty or outside of their image": sum(self._dropped.values()),
            "images or their annotations cannot be read": len(self._unreadable),
            "annotated images are not among the data": self._located.unmatched,
        }
        remarks = [
            f"{count} {what}; they were left out." for what, count in counts.items() if count
        ]
        remarks = [*self._located.remarks, *remarks]
        return remarks + [f"'{k}': {reason}" for k, reason in list(self._unreadable.items())[:1]]


def schedule(step: int, steps: int) -> float:
    """Returns the share of the peak learning rate: a linear warm-up times a half cosine."""
    warmup = max(1, round(_WARMUP * steps))
    return min(1.0, (step + 1) / warmup) * (1 + math.cos(math.pi * step / steps)) / 2


def _annotated(sample: DetectionSample) -> Marked:
    objects = sample.objects
    return Marked(
        objects.boxes,
        objects.labels,
        objects.areas.tolist(),
        sample.packed,
        objects.ignored.tolist(),
    )


def in_its_pixels(output: Mapping[str, Tensor], sample: DetectionSample) -> Marked:
    """Scales a detector's output to the pixels of the image as it is read."""
    packed = [
        encode((interpolate(mask[None], sample.size, mode="bilinear")[0, 0] >= 0.5).numpy())
        for mask in output.get("masks", ())
    ]
    return Marked(
        output["boxes"].double().numpy() / sample.scale,
        output["labels"].numpy() - 1,
        masks=packed,
        scores=output["scores"].tolist(),
    )
