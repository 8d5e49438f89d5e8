"""Object detection: a Faster or Mask R-CNN is trained from the encoder, and tested once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

from ... import Evaluation, UsageError
from ...data import Splits
from ...evaluation import (
    EvaluationData,
    Pretrained,
    Result,
    counted,
    draw_labels,
    jackknife,
    require_finite,
    seeded,
)
from .annotation_files import read_annotations
from .annotations import Located
from .average_precision import AveragePrecision, Floats, Marked, Weights, match
from .detector_training import DetectionConfig, DetectorTraining
from .frames import in_frame
from .marked_images import Positions

_TEST = 0.2  # of the groups, where no test part is declared


class Detection(Evaluation):
    """How well does a detector find objects after training from the encoder's weights?

    If the dataset declares no test part and has no labels, a fifth of the annotated groups is the
    test part. If every object has an outline, masks are predicted too. `compare` draws annotated
    images of whatever class, because an image has objects of several.
    """

    Config = DetectionConfig
    trains_encoder = True
    budget_unit = "labeled images"
    quick: ClassVar[Mapping[str, Any]] = {"epochs": 1, "size": 32}

    @classmethod
    def example(cls, data: EvaluationData, folder: Path) -> Mapping[str, Any]:
        """Annotates the whole of every 120th image; returns the options that name the file."""
        images, objects = [], []
        for i in range(0, len(data.dataset), 120):
            sample = data.dataset[i]
            height, width = sample.image.shape[:2]
            images.append({"id": i, "file_name": sample.key})
            objects.append({"image_id": i, "category_id": 1, "bbox": [0, 0, width, height]})
        names = [{"id": 1, "name": "image"}]
        coco = {"images": images, "annotations": objects, "categories": names}
        (folder / "coco.json").write_text(json.dumps(coco))
        return {"annotations": str(folder / "coco.json")}

    def check(self, data: EvaluationData) -> None:
        """Refuses annotations that leave nothing to train or to test on."""
        self.labeled(data)

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Trains on the annotated images outside of the test part, and tests once.

        The number of epochs is an option, so the validation part is trained on too.
        """
        model.check(data.dataset)
        located = self._located(data)
        parts = _parts(data, located)
        train, test = parts.outside_test, parts.test
        with seeded(self.config.seed):
            training = DetectorTraining(model, data, located, train, self.config)
            for _ in counted(range(self.config.epochs), "epoch"):
                loss = training.epoch()
            truth, detections, positions = training.detect(test)
        return detection_result(
            located.classes,
            truth,
            detections,
            data.dataset.index.groups[positions],
            located.have_masks,
            images={"train": len(train), "test": len(positions)},
            training_loss=loss,
            remarks=training.remarks(),
        )

    def classes(self, data: EvaluationData) -> tuple[str, ...]:
        """Returns the names of the classes of the objects."""
        return self._located(data).classes

    def labeled(self, data: EvaluationData) -> Splits:
        """Returns the positions of the annotated images of each part."""
        return _parts(data, self._located(data))

    def draw(self, data: EvaluationData, budget: float, seed: int) -> Positions:
        """Draws annotated images outside of the test part, of all classes together."""
        known = self.labeled(data).outside_test
        return draw_labels(data.dataset.index, known, budget, seed, by_class=False)

    def tested(self, data: EvaluationData) -> Positions:
        """Returns the positions of the annotated images that are tested on."""
        return self.labeled(data).test

    def _located(self, data: EvaluationData) -> Located:
        file = _found(self.config.annotations, data.dataset.path)
        located = read_annotations(file).located(data.dataset.index)
        return in_frame(located, data.dataset, self.config.frame)


def _found(name: str, images: Path) -> Path:
    """Returns the path of the annotations, which may be relative to the folder of the images."""
    beside = images / name
    return beside if not Path(name).exists() and beside.exists() else Path(name)


def _parts(data: EvaluationData, located: Located) -> Splits:
    """Returns the positions of the annotated images to train and to test on.

    The images that are tested on are the same for any selection of training images.
    """
    whole, groups = data.whole or data.splits, data.dataset.index.groups
    annotated = np.array(sorted(located.objects))
    test = np.intersect1d(whole.test, annotated)
    known = np.intersect1d(whole.outside_test, annotated)
    if not len(whole.test) and len(np.unique(groups[known])) > 1:
        drawn = GroupShuffleSplit(1, test_size=_TEST, random_state=0)
        test = known[next(drawn.split(known, groups=groups[known]))[1]]
    train, val = (
        np.setdiff1d(np.intersect1d(part, annotated), test)
        for part in (data.splits.train, data.splits.val)
    )
    count = len(train) + len(val)
    if count < 2 or not len(test):
        raise UsageError(
            f"Detection needs annotated images to train and to test on; there are "
            f"{count} and {len(test)}. Annotate more, or give --labels a CSV with path and "
            "split."
        )
    return Splits(train, val, test)


def detection_result(
    classes: Sequence[str],
    truth: Sequence[Marked],
    detections: Sequence[Marked],
    groups: NDArray[Any],
    masks: bool = False,
    **details: Any,
) -> Result:
    """Scores the detections in the test images.

    Args:
        classes: Names of the K classes.
        truth: The annotated objects of each image.
        detections: The detections in each image.
        groups: (n,) group numbers of the images.
        masks: Whether to score masks ("mask_AP") besides boxes.
        details: Anything else to keep in the result, as plain values.

    Raises:
        RunError: If scores or boxes of detections are not finite.
        UsageError: If no test image has an object.
    """
    for detected in detections:
        require_finite(np.asarray(detected.scores, dtype=np.float64), "scores of detections")
        require_finite(detected.boxes, "boxes of detections")
    codes = np.unique(groups, return_inverse=True)[1]
    parts = [AveragePrecision(match(truth, detections, len(classes)), codes)]
    if masks:
        parts.append(
            AveragePrecision(match(truth, detections, len(classes), "segm"), codes, "mask_")
        )

    def statistic(weights: Weights) -> dict[str, Floats]:
        return {name: values for part in parts for name, values in part(weights).items()}

    kept = jackknife(statistic, np.bincount(codes), parts[0].rows)
    metrics = {name: each.estimate() for name, each in kept.items()}
    defined = [name for name, value in metrics.items() if not math.isnan(value.value)]
    if not defined:
        raise UsageError("No test image has an object to detect. Annotate objects in them.")
    rows = [
        {"class": name} | {k: v for part in each for k, v in part.items()}
        for name, *each in zip(classes, *(part.by_class() for part in parts), strict=True)
    ]
    return Result(
        {name: metrics[name] for name in defined},
        {name: kept[name] for name in defined},
        "AP",
        [row for row in rows if row["objects"]],
        parts[0].by_group(),
        details,
        len(groups),
    )
