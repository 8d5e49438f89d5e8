"""Multiple-instance learning: a bag of images, such as the tiles of a slide, is classified."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ... import Dataset, Evaluation, Index, UsageError
from ...data import agree, grid_neighbors, parse_tile_keys, plural
from ...evaluation import EvaluationData, Pretrained, Result, choose_epochs_then_refit, rarest
from .bag_training import BagPart, BagsConfig, BagTraining
from .pooling import Bag, Pooling, join
from .saliency import heat_map, overview, write_map, write_table

Positions = NDArray[np.int64]

_POSITION = re.compile(r"([\W_]+(r|row|c|col|column|x|y))?[\W_]*\d*$", re.IGNORECASE)
_PATIENCE = 20  # epochs without a higher likelihood


class Bags(Evaluation):
    """How well is the label of a bag predicted when frozen features are pooled?

    A bag is a group whose labeled images all have the label of the bag. Metrics and intervals are
    of bags. The saliency of an image is its attention weight; with mean, max and graph pooling it
    is what the image adds to the logit of the predicted class.
    """

    Config = BagsConfig
    uses_features = True
    tested_like_finetuning = False
    quick: ClassVar[Mapping[str, Any]] = {"epochs": 2, "hidden": 16}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses the epochs on validation bags, trains on both parts, and tests once.

        Raises:
            RunError: If the loss is not finite.
            UsageError: If bags have several labels, or no neighbors for the graph.
        """
        train, val, test = self._parts(model, data)
        classes, options = data.dataset.index.classes, self.config
        fitted = choose_epochs_then_refit(
            lambda with_val: BagTraining(
                train + val if with_val else train, val, len(classes), options
            ),
            options.epochs,
            range(1, options.epochs + 1) if val.bags else (),
            patience=_PATIENCE,
        )
        probabilities = fitted.model.predict(test.bags)
        remarks = []
        if options.maps:
            folder, net = Path(options.maps) / f"{model.name}-{options.pooling}", fitted.model.net
            pictures = _write_maps(folder, data.dataset, test, net, probabilities)
            remarks.append(_remark(options.maps, len(test.bags), pictures))
        sizes = [len(images) for images in (train + val + test).images]
        result = Result.of_classification(
            *(test.labels, probabilities, test.groups, classes),
            fitted.validation,
            options.order(classes),
            options.positive_class(classes, _rarest(data)),
            sensitivity=options.sensitivity,
            unit="bag",
            pooling=options.pooling,
            epochs=fitted.setting,
            of_epochs=options.epochs,
            bags={"train": len(train.bags), "val": len(val.bags), "test": len(test.bags)},
            images_per_bag=float(np.median(sizes)),
            remarks=remarks,
        )
        return replace(result, images=sum(map(len, test.images)))

    def check(self, data: EvaluationData) -> None:
        """Refuses bags of several labels, and a graph without neighbors."""
        super().check(data)
        index, parts = data.dataset.index, data.parts
        chosen = np.sort(np.concatenate([parts.train, parts.val, parts.test]))
        _check_labels(index, chosen)
        if self.config.pooling == "graph":
            _check_positions(index, chosen)

    def _parts(self, model: Pretrained, data: EvaluationData) -> tuple[BagPart, BagPart, BagPart]:
        """Embeds labeled images and puts them into the bags of each part."""
        self.check(data)
        index, parts = data.dataset.index, data.parts
        features, positions = data.labeled(model)
        train, val, test = (
            self._part(index, features, positions, np.flatnonzero(np.isin(positions, part)))
            for part in (parts.train, parts.val, parts.test)
        )
        return train, val, test

    def _part(
        self, index: Index, features: NDArray[np.float32], positions: Positions, rows: Positions
    ) -> BagPart:
        """Gathers the bags of a part.

        Args:
            index: Of the dataset.
            features: (n, D).
            positions: (n,) positions of their images in the dataset.
            rows: Which of the n are in this part.
        """
        rows = rows[np.argsort(index.groups[positions[rows]], kind="stable")]
        groups, starts = np.unique(index.groups[positions[rows]], return_index=True)
        rows_of_bags = np.split(rows, starts[1:]) if len(rows) else []
        bags = []
        for bag_rows in rows_of_bags:
            edges = np.zeros((2, 0), np.int64)
            if self.config.pooling == "graph":
                edges = grid_neighbors(index.positions[positions[bag_rows]])
            bags.append(Bag(torch.from_numpy(features[bag_rows]), torch.from_numpy(edges)))
        labels = index.labels[positions[rows[starts]]].astype(np.int64)
        return BagPart(bags, labels, groups, [positions[bag_rows] for bag_rows in rows_of_bags])


def _rarest(data: EvaluationData) -> str:
    """Returns the class with the fewest bags to learn from, before labels were held back."""
    index, known = data.dataset.index, (data.whole or data.splits).outside_test
    known = known[index.labels[known] >= 0]
    _, first = np.unique(index.groups[known], return_index=True)
    return rarest(index.labels[known[first]], index.classes)


def _check_labels(index: Index, chosen: Positions) -> None:
    pairs = np.unique(np.stack([index.groups[chosen], index.labels[chosen]]), axis=1)
    if len(np.unique(index.groups[chosen])) == len(chosen):
        raise UsageError(
            "Every bag would hold a single image, because every image is a group of its own. Name "
            "slides or patients with the column 'group' of --labels, or evaluate single images, "
            "with --evaluation linear."
        )
    _, labels = np.unique(pairs[0], return_counts=True)
    mixed = int((labels > 1).sum())
    if mixed:
        raise UsageError(
            f"{mixed} of {plural(len(labels), 'bag')} {agree(mixed, 'holds', 'hold')} images of "
            "several "
            "labels, but a bag is a group and has one. Let the column 'group' of --labels name "
            "what the labels belong to, or "
            "evaluate single images, with --evaluation linear."
        )


def _check_positions(index: Index, chosen: Positions) -> None:
    positions = np.column_stack([2 * index.groups[chosen], index.positions[chosen]])  # bags apart
    if not _are_whole(index):
        raise UsageError(
            "These images have no whole rows and columns as positions, so a graph cannot join "
            "neighbors. Choose bags.pooling mean, max or attention."
        )
    names, counts = np.unique(positions, axis=0, return_counts=True)
    twice = len(np.unique(names[counts > 1, 0]))
    if twice:
        raise UsageError(
            f"{plural(twice, 'bag')} {agree(twice, 'holds', 'hold')} several images at one "
            "position, so "
            "that a graph cannot tell which images are neighbors. Let the column 'group' of "
            "--labels name each slide or scene on "
            "its own, or choose bags.pooling mean, max or attention."
        )
    if not grid_neighbors(positions).size:
        raise UsageError(
            "No two images of a bag are neighbors, so a graph has nothing to join. Choose "
            "bags.pooling mean, max or attention."
        )


def _are_whole(index: Index) -> bool:
    """Returns whether positions are whole rows and columns."""
    positions = index.positions
    return positions.shape[1] == 2 and bool((positions == positions.round()).all())


def _write_maps(
    folder: Path, dataset: Dataset, part: BagPart, net: Pooling, probabilities: NDArray[np.float64]
) -> int:
    """Writes the saliency of each image of each bag; returns the number of pictures.

    Pictures are called by a hash of the group's name, which may be a patient's; a bag of several
    slides has a picture of each.
    """
    index, rows, pictures = dataset.index, [], 0
    for bag, images, shares in zip(part.bags, part.images, probabilities, strict=True):
        predicted = int(shares.argmax())
        values = net.saliency(join([bag]), torch.tensor([predicted])).numpy()
        name = index.group_hashes(images[:1]).pop()
        facts = name, index.classes[index.labels[images[0]]], index.classes[predicted]
        rows += [(*facts, index.key(i), f"{v:.4g}") for i, v in zip(images, values, strict=True)]
        line = f"label {facts[1]}, predicted {facts[2]} (probability {shares[predicted]:.2f})"
        slides = _slides(index, images) if _are_whole(index) else []
        for number, (slide, chosen) in enumerate(slides):
            there, shown = images[chosen], (dataset[i].image for i in images[chosen].tolist())
            positions = index.positions[there]
            write_map(
                folder / f"{name}{f'-{number + 1}' if len(slides) > 1 else ''}.png",
                (slide, line),
                overview(positions, shown),
                heat_map(positions, values[chosen]),
                values[chosen],
                net.measure.format(label=facts[2]),
            )
            pictures += 1
    write_table(folder / "saliency.csv", ("bag", "label", "prediction", "image", "saliency"), rows)
    return pictures


def _slides(index: Index, images: Positions) -> list[tuple[str, Positions]]:
    """Returns the name of each slide of a bag, and which of its images are on it.

    Tiles are called after the file of their slide. Images that are files of their own are one
    slide, which is called as the beginning that their names share.
    """
    names, numbers, _ = parse_tile_keys(index.keys[images])
    if len(names) == len(images):
        keys = sorted(index.key(i) for i in images.tolist())
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(keys[0], keys[-1], strict=False))
        name = _POSITION.sub("", "".join(letter for letter, _ in pairs))
        return [(name or "images", np.arange(len(images)))]
    shown = [name.decode(errors="replace") for name in names.tolist()]
    return [(name, np.flatnonzero(numbers == number)) for number, name in enumerate(shown)]


def _remark(maps: str, bags: int, pictures: int) -> str:
    drawn = (
        plural(pictures, "picture")
        if pictures
        else "no picture, since there are no rows and columns"
    )
    return (
        f"The saliency of the images of {plural(bags, 'test bag')} is in '{maps}', in a folder "
        "for each "
        f"encoder: saliency.csv and {drawn}."
    )
