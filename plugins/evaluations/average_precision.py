"""Average precision of detections, as COCO defines it, for weighted groups of images.

pycocotools matches detections with objects once. The average precision is computed here for
weighted images, so that leaving out each group takes seconds. Lin et al. 2014,
https://arxiv.org/abs/1405.0312; https://cocodataset.org/#detection-eval.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

_SIZES = ("all", "small", "medium", "large")  # limits: 32^2 and 96^2 pixels
_RECALLS = np.linspace(0, 1, 101)
_THRESHOLDS = {"50": 0, "75": 5}  # index of the IoU threshold among 0.50, 0.55, ... 0.95
_MAX_DETECTIONS = 100  # of an image and class
_BLOCK = 64  # groups at a time

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
Kind = Literal["bbox", "segm"]
Packed = Mapping[str, Any]
"""A mask, run-length encoded by pycocotools."""


@dataclass(frozen=True)
class Marked:
    """The annotated objects of one image, or the detections in it.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        labels: (n,) class numbers.
        areas: (n,) areas in pixels, for metrics by size; empty to use those of masks or boxes.
        masks: n masks; empty if there are boxes only.
        ignored: (n,) whether a detection of the object is not counted; empty if none is ignored.
        scores: (n,) confidences of detections; empty for annotated objects.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: Sequence[float] = ()
    masks: Sequence[Packed] = ()
    ignored: Sequence[bool] = ()
    scores: Sequence[float] = ()

    def rows(self, image: int, kind: Kind) -> list[dict[str, Any]]:
        """Returns COCO annotations without ids."""
        corner, sides = self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]
        areas: Sequence[float] = self.areas
        if not areas:
            areas = np.prod(sides, axis=1) if kind == "bbox" else coco_masks.area(list(self.masks))
        columns: dict[str, Sequence[Any]] = {
            "bbox": np.concatenate([corner, sides], axis=1).tolist(),
            "category_id": self.labels.tolist(),
            "area": list(areas),
            "iscrowd": [int(i) for i in self.ignored] or [0] * len(self.boxes),
        }
        if kind == "segm":
            columns["segmentation"] = self.masks
        if len(self.scores):
            columns["score"] = list(self.scores)
        rows = zip(*columns.values(), strict=True)
        return [{"image_id": image, **dict(zip(columns, row, strict=True))} for row in rows]


def _coco(images: Sequence[Marked], classes: int, kind: Kind) -> COCO:
    rows = [row for i, image in enumerate(images) for row in image.rows(i, kind)]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "height": 0, "width": 0} for i in range(len(images))],
        "categories": [{"id": k} for k in range(classes)],
        "annotations": [{"id": n, **row} for n, row in enumerate(rows, start=1)],  # 0 is no match
    }
    coco.createIndex()
    return coco


def match(
    truth: Sequence[Marked], detections: Sequence[Marked], classes: int, kind: Kind = "bbox"
) -> COCOeval:
    """Matches the detections in each image with its annotated objects."""
    with contextlib.redirect_stdout(io.StringIO()):
        matches = COCOeval(_coco(truth, classes, kind), _coco(detections, classes, kind), kind)
        matches.params.maxDets = [1, 10, _MAX_DETECTIONS]
        matches.evaluate()
    return matches


@dataclass(frozen=True)
class _Curve:
    """Detections of one class, by descending score, and the objects, of one range of sizes.

    Attributes:
        groups: (D,) group of each detection.
        right: (T, D) whether the detection matches an object, at each IoU threshold.
        counted: (T, D) whether the detection is counted.
        objects: (G,) number of objects in each group.
    """

    groups: NDArray[np.int64]
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    objects: Floats

    def precisions(self, weights: Floats) -> Floats:
        """Returns (T, R) average precisions; NaN where no object is drawn.

        Args:
            weights: (G, R) how often each group was drawn.
        """
        drawn, total = weights[self.groups], self.objects @ weights
        precisions = [
            average_precision(drawn[counted], right[counted], total)
            for right, counted in zip(self.right, self.counted, strict=True)
        ]
        return np.stack(precisions)


def average_precision(drawn: Floats, right: NDArray[np.bool_], total: Floats) -> Floats:
    """Averages precision over recalls of 0, 0.01, ... 1.

    The precision at a recall is the highest precision at that recall or above. It is reached at a
    detection that matches an object, so only these detections are used.

    Args:
        drawn: (D, R) how often each detection was drawn, by descending score.
        right: (D,) whether the detection matches an object.
        total: (R,) number of objects drawn.

    Returns:
        (R,); NaN where no object was drawn.
    """
    hits = drawn[right].cumsum(axis=0)
    precision = hits / (drawn.cumsum(axis=0)[right] + np.spacing(1))
    highest = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    recall = hits / np.where(total > 0, total, 1)
    reached = np.searchsorted(_RECALLS, recall, side="right")
    steps = np.diff(reached, axis=0, prepend=0)
    averaged: Floats = (steps * highest).sum(axis=0) / len(_RECALLS)
    return np.where(total > 0, averaged, np.nan)


class AveragePrecision:
    """The statistic for `jackknife`: metrics of weighted groups.

    Args:
        matches: The matches of detections and objects.
        groups: (n,) group number of each image, from 0.
        prefix: Prefix of the names of metrics.
    """

    def __init__(self, matches: COCOeval, groups: NDArray[np.int64], prefix: str = "") -> None:
        self._groups, self._prefix = groups, prefix
        images, sizes = len(groups), len(_SIZES)
        each = matches.evalImgs
        blocks = [each[n : n + images] for n in range(0, len(each), images)]
        curves = [self._curve(block, len(matches.params.iouThrs)) for block in blocks]
        self._classes = [curves[n : n + sizes] for n in range(0, len(curves), sizes)]
        self.rows = max((len(curve.groups) for curve in curves), default=0)

    def _curve(self, images: Sequence[Mapping[str, Any] | None], thresholds: int) -> _Curve:
        count = int(self._groups.max()) + 1
        objects, none = np.zeros(count), np.zeros((thresholds, 0), dtype=bool)
        scores, groups, right, counted = [np.zeros(0)], [self._groups[:0]], [none], [none]
        for image, group in zip(images, self._groups, strict=True):
            if image is None:
                continue
            scores.append(np.array(image["dtScores"], dtype=np.float64))
            groups.append(np.full(len(scores[-1]), group))
            right.append(np.asarray(image["dtMatches"]) > 0)
            counted.append(~np.asarray(image["dtIgnore"], dtype=bool))
            objects[group] += np.count_nonzero(np.asarray(image["gtIgnore"]) == 0)
        order = np.argsort(-np.concatenate(scores), kind="stable")
        return _Curve(
            np.concatenate(groups)[order],
            np.concatenate(right, axis=1)[:, order],
            np.concatenate(counted, axis=1)[:, order],
            objects,
        )

    def __call__(self, weights: Weights) -> dict[str, Floats]:
        """Maps (G, R) weights to (R,) values by metric; NaN where there is no object."""
        w = weights.astype(np.float64)
        ap = np.array([[c.precisions(w) for c in of_class] for of_class in self._classes])
        metrics = {"AP": _mean(ap[:, 0])}  # ap is (K, sizes, T, R)
        metrics |= {f"AP{name}": _mean(ap[:, 0, t : t + 1]) for name, t in _THRESHOLDS.items()}
        metrics |= {f"AP_{size}": _mean(ap[:, a]) for a, size in enumerate(_SIZES) if a}
        return {self._prefix + name: values for name, values in metrics.items()}

    def by_class(self) -> list[dict[str, float]]:
        """Returns the number of objects, AP and AP50 of each class."""
        rows = []
        for curve, *_ in self._classes:
            ap = curve.precisions(np.ones((len(curve.objects), 1)))
            values = {"AP": float(ap.mean()), "AP50": float(ap[0, 0])}
            rows.append(
                {"objects": float(curve.objects.sum())}
                | {self._prefix + name: value for name, value in values.items()}
            )
        return rows

    def by_group(self) -> Floats:
        """Returns the AP of each group, (G,); 0 where it has no object."""
        count = int(self._groups.max()) + 1
        blocks = [
            self(np.eye(count, min(_BLOCK, count - start), -start, dtype=np.float32))
            for start in range(0, count, _BLOCK)
        ]
        scores: Floats = np.concatenate([block[f"{self._prefix}AP"] for block in blocks])
        return np.nan_to_num(scores)


def _mean(ap: Floats) -> Floats:
    """Averages (K, T, R) over thresholds, and over the classes that have an object: (R,)."""
    defined = ~np.isnan(ap)
    count = defined.sum(axis=(0, 1))
    total = np.where(defined, ap, 0).sum(axis=(0, 1))
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
