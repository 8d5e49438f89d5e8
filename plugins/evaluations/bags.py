"""Does a bag of images tell its label? A bag is a group: the tiles of a slide, say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn.functional import cross_entropy

from ... import Config, Dataset, Evaluation, Index, RunError, UsageError
from ...data import grid_neighbors
from ...evaluation import EvaluationData, Pretrained, Result
from .pooling import POOLINGS, Bag, Pooling, join
from .saliency import heat_map, overview, write_pictures, write_table

Positions = NDArray[np.int64]

_STEP = 16  # bags
_PATIENCE = 20  # epochs without a better likelihood


class BagsConfig(Config):
    """Options of the evaluation."""

    pooling: Annotated[
        Literal["mean", "max", "attention", "graph"],
        Field(
            description="of the images of a bag; graph: two graph convolutions over those side by "
            "side, which needs whole rows and columns as positions"
        ),
    ] = "attention"
    ordinal: Annotated[
        bool, Field(description="classes, in the order of their names, are grades: quadratic kappa")
    ] = False
    epochs: Annotated[int, Field(ge=1, description="at most; validation bags choose")] = 100
    lr: Annotated[float, Field(gt=0, description="rate of AdamW")] = 3e-4
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.01
    hidden: Annotated[int, Field(ge=1, description="width that images are pooled in")] = 128
    seed: Annotated[int, Field(ge=0, description="of weights and order")] = 0
    maps: Annotated[
        str,
        Field(
            description="folder for saliency.csv, which names the images of the test bags and what "
            "each says, and a picture of each bag whose images lie in rows and columns; '' for none"
        ),
    ] = ""


@dataclass(frozen=True)
class _Part:
    """Bags of one part.

    Attributes:
        bags: B of them.
        labels: (B,) class numbers.
        groups: (B,) group numbers, sorted.
        images: Positions of the images of each bag.
    """

    bags: list[Bag]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    images: list[Positions]

    def __add__(self, other: _Part) -> _Part:
        return _Part(
            self.bags + other.bags,
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
            self.images + other.images,
        )


class Bags(Evaluation):
    """Does a bag of images tell its label, when frozen features are pooled and a head is learned?

    A bag is a group; all its labeled images have one label, its own. Metrics and intervals are
    of bags. With mean, max and graph an image's saliency is what it adds to the logit of the
    answer; with attention it is its weight.
    """

    Config = BagsConfig
    quick: ClassVar[Mapping[str, Any]] = {"epochs": 2, "hidden": 16}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses the epochs on validation bags, learns from both parts, and tests once.

        Raises:
            RunError: If the loss is not finite.
            UsageError: If bags have several labels, or no neighbors where these are asked for.
        """
        train, val, test = self._parts(model, data)
        index, options = data.dataset.index, self.config
        epochs, validation = self._choose(train, val, len(index.classes))
        *_, net = islice(self._fit(train + val, len(index.classes)), epochs)
        answers = _answers(net, test.bags)
        if options.maps:
            folder = Path(options.maps) / f"{model.name}-{options.pooling}"
            _write_maps(folder, data.dataset, test, net, answers.argmax(axis=1))
        return Result.of_classification(
            *(test.labels, answers, test.groups, index.classes),
            None if validation is None else (val.labels, validation),
            options.ordinal,
            pooling=options.pooling,
            epochs=epochs,
            of_epochs=options.epochs,
            bags={"train": len(train.bags), "val": len(val.bags), "test": len(test.bags)},
            images_per_bag=float(np.median([len(own) for own in (train + val + test).images])),
        )

    def _parts(self, model: Pretrained, data: EvaluationData) -> tuple[_Part, _Part, _Part]:
        """Embeds labeled images and puts them into the bags of each part."""
        index, parts = data.dataset.index, data.parts
        chosen = np.sort(np.concatenate([parts.train, parts.val, parts.test]))
        _check_labels(index, chosen)
        if self.config.pooling == "graph":
            _check_places(index, chosen)
        features, rows = data.labeled(model)
        train, val, test = (
            self._part(index, features, rows, np.flatnonzero(np.isin(rows, positions)))
            for positions in (parts.train, parts.val, parts.test)
        )
        return train, val, test

    def _part(
        self, index: Index, features: NDArray[np.float32], rows: Positions, mine: Positions
    ) -> _Part:
        """Gathers bags.

        Args:
            index: Of the dataset.
            features: (n, D).
            rows: (n,) positions of their images.
            mine: Which of the n are of this part.
        """
        mine = mine[np.argsort(index.groups[rows[mine]], kind="stable")]
        groups, starts = np.unique(index.groups[rows[mine]], return_index=True)
        found = np.split(mine, starts[1:]) if len(mine) else []
        bags = []
        for own in found:
            edges = np.zeros((2, 0), np.int64)
            if self.config.pooling == "graph":
                edges = grid_neighbors(index.positions[rows[own]])
            bags.append(Bag(torch.from_numpy(features[own]), torch.from_numpy(edges)))
        labels = index.labels[rows[mine[starts]]].astype(np.int64)
        return _Part(bags, labels, groups, [rows[own] for own in found])

    def _choose(
        self, train: _Part, val: _Part, classes: int
    ) -> tuple[int, NDArray[np.float64] | None]:
        """Returns the epochs of the highest likelihood of validation bags, and what is said then.

        Without such bags all epochs are taken.
        """
        if not val.bags:
            return self.config.epochs, None
        rows, best = np.arange(len(val.labels)), -np.inf
        chosen: tuple[int, NDArray[np.float64] | None] = (1, None)
        for epoch, net in enumerate(self._fit(train, classes), 1):
            said = _answers(net, val.bags)
            likelihood = np.log(said[rows, val.labels].clip(1e-7)).mean()
            if likelihood > best:
                best, chosen = likelihood, (epoch, said)
            elif epoch - chosen[0] == _PATIENCE:
                break
        return chosen

    def _fit(self, part: _Part, classes: int) -> Iterator[Pooling]:
        """Yields the network after each epoch."""
        options = self.config
        labels = torch.from_numpy(part.labels)
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            known = torch.cat([bag.tiles for bag in part.bags])
            net = POOLINGS[options.pooling](known, classes, options.hidden)
            del known  # as large as all features
        optimizer = torch.optim.AdamW(
            net.parameters(), options.lr, weight_decay=options.weight_decay
        )
        order = torch.Generator().manual_seed(options.seed)
        for _ in range(options.epochs):
            for chosen in torch.randperm(len(labels), generator=order).split(_STEP):  # type: ignore[no-untyped-call]
                logits = net(join([part.bags[i] for i in chosen.tolist()]))
                loss = cross_entropy(logits, labels[chosen])
                if not loss.isfinite():
                    raise RunError("The loss of bags is not finite. Lower bags.lr.")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            yield net


def _answers(net: Pooling, bags: Sequence[Bag]) -> NDArray[np.float64]:
    """Returns (B, K) probabilities."""
    with torch.no_grad():
        logits = [net(join(bags[i : i + _STEP])) for i in range(0, len(bags), _STEP)]
    said: NDArray[np.float64] = torch.cat(logits).double().softmax(dim=1).numpy()
    return said


def _check_labels(index: Index, chosen: Positions) -> None:
    pairs = np.unique(np.stack([index.groups[chosen], index.labels[chosen]]), axis=1)
    _, labels = np.unique(pairs[0], return_counts=True)
    mixed = int((labels > 1).sum())
    if mixed:
        raise UsageError(
            f"{mixed} of {len(labels)} bags hold images of several labels, but a bag is a group "
            "and has one. Let the column 'group' of --labels say what the labels are of, or "
            "evaluate single images, with --evaluation linear."
        )


def _check_places(index: Index, chosen: Positions) -> None:
    places = np.column_stack([2 * index.groups[chosen], index.positions[chosen]])  # bags apart
    if not _are_whole(index):
        raise UsageError(
            "These images have no whole rows and columns as positions, so that a graph cannot join "
            "those side by side. Choose bags.pooling mean, max or attention."
        )
    names, counts = np.unique(places, axis=0, return_counts=True)
    twice = len(np.unique(names[counts > 1, 0]))
    if twice:
        raise UsageError(
            f"{twice} bags hold several images at one place, so that it is not known who is side "
            "by side. Let the column 'group' of --labels name each slide or scene on its own, or "
            "choose bags.pooling mean, max or attention."
        )
    if not grid_neighbors(places).size:
        raise UsageError(
            "No two images of a bag lie side by side, so that a graph has nothing to join. Choose "
            "bags.pooling mean, max or attention."
        )


def _are_whole(index: Index) -> bool:
    """Whether positions are whole rows and columns."""
    places = index.positions
    return places.shape[1] == 2 and bool((places == places.round()).all())


def _write_maps(
    folder: Path, dataset: Dataset, part: _Part, net: Pooling, said: NDArray[np.int64]
) -> None:
    """Writes what each image of each bag says.

    Pictures are named by a hash of the group's name, which may be a patient's.
    """
    index, rows = dataset.index, []
    for bag, images, answer in zip(part.bags, part.images, said, strict=True):
        values = net.saliency(join([bag]), torch.tensor([answer])).numpy()
        name = index.group_hashes(images[:1]).pop()
        facts = name, index.classes[index.labels[images[0]]], index.classes[answer]
        rows += [(*facts, index.key(i), f"{v:.4g}") for i, v in zip(images, values, strict=True)]
        if _are_whole(index):
            places, shown = index.positions[images], (dataset[i].image for i in images.tolist())
            pictures = overview(places, shown), heat_map(places, values)
            write_pictures(folder / f"{name}.png", *pictures)
    write_table(folder / "saliency.csv", ("bag", "label", "answer", "image", "saliency"), rows)
