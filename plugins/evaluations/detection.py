"""Detection: a Faster or Mask R-CNN is trained that starts from the encoder, and tested once."""

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
from ...evaluation import EvaluationData, Pretrained, Result, bootstrap_estimates, seeded
from .annotation_files import read_annotations
from .annotations import Located
from .average_precision import AveragePrecision, Floats, Marked, Weights, match
from .detector_training import DetectionConfig, DetectorTraining
from .marked_images import Positions

_TEST = 0.2  # of the groups, where no test part is declared


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
        with seeded(self.config.seed):
            training = DetectorTraining(model, data, located, train, self.config)
            for _ in range(self.config.epochs):
                loss = training.epoch()
            truth, found, rows = training.detect(test)
        return detection_result(
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


def detection_result(
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
