"""Preprocessing that travels with weights: value ranges, mean and standard deviation by channel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.config import validate
from ..core.dataset import Dataset
from ..core.discovery import datasets
from ..core.domain import Domain
from ..core.errors import UsageError
from .named import located, parse_name
from .opening import DataConfig, open_dataset, reader_of

Range = NDArray[np.float64]
_EIGHT_BITS = (0.0, 255.0)
_FAR = 10.0  # ranges whose widths differ by this factor are of other units


@dataclass(frozen=True)
class EarlierChannel:
    """The preprocessing of a channel that an encoder was trained on.

    Attributes:
        value_range: (2,) physical values that became 0 and 1.
        mean: Mean of the values in [0, 1].
        std: Their standard deviation.
    """

    value_range: Range
    mean: float
    std: float


def earlier_channels(facts: Mapping[str, Any]) -> dict[str, EarlierChannel]:
    """Returns what encoder.json says of each channel, by its name; {} if there is none."""
    if not facts:
        return {}
    rows = zip(facts["value_range"], facts["mean"], facts["std"], strict=True)
    values = [EarlierChannel(np.asarray(ends, float), mean, std) for ends, mean, std in rows]
    return dict(zip(facts["channels"], values, strict=True))


@dataclass(frozen=True)
class OpenedLike:
    """Images opened with the value ranges of an encoder.

    Attributes:
        dataset: The images.
        remarks: Which channels have another value range, because they have another unit.
    """

    dataset: Dataset
    remarks: tuple[str, ...] = ()


def open_like(
    domain: Domain, config: DataConfig, facts: Mapping[str, Any], origin: str
) -> OpenedLike:
    """Opens images with the value ranges of an encoder in the channels that it knows by name.

    A channel that the encoder does not know has its own range, and so has one whose values are in
    another unit, where the encoder's range would make it nearly constant.

    Args:
        domain: Says which datasets can open its files.
        config: Which images.
        facts: Content of encoder.json, {} for none.
        origin: Where the encoder comes from, for the remarks.
    """
    dataset = open_dataset(domain, config)
    known = earlier_channels(facts)
    shared = [i for i, name in enumerate(dataset.channels) if name in known]
    if not shared:
        return OpenedLike(dataset)
    own = dataset.value_range
    earlier = own.copy()
    for i in shared:
        earlier[i] = known[dataset.channels[i]].value_range
    dataset, other = _opened_with(domain, config, dataset, earlier)
    if not other:
        return OpenedLike(dataset)
    kept = earlier.copy()
    kept[other] = own[other]
    listed = _compared(dataset.channels, own, earlier, other)
    remark = f"another value range than in {origin} is kept, because the unit differs: {listed}"
    return OpenedLike(open_dataset(domain, config, kept), (remark,))


def open_as_trained(
    domain: Domain, config: DataConfig, dataset: Dataset, value_range: ArrayLike, weights: Path
) -> OpenedLike:
    """Opens images of the same channels with the value range of an encoder, unchanged.

    Args:
        domain: Says which datasets can open its files.
        config: Which images.
        dataset: The images, opened with their own value range.
        value_range: (C, 2) of the encoder.
        weights: Its file in the folder of its run.

    Raises:
        UsageError: If most channels are in another unit.
    """
    own, earlier = dataset.value_range, np.asarray(value_range, float)
    dataset, other = _opened_with(domain, config, dataset, earlier)
    if not other:
        return OpenedLike(dataset)
    problem = f"is in another unit than in {weights.parent}: "
    problem += _compared(dataset.channels, own, earlier, other)
    if 2 * len(other) > len(dataset.channels):
        raise UsageError(
            f"What these images hold {problem}. Convert them, or give the file '{weights}' "
            "instead: then they keep a value range of their own."
        )
    return OpenedLike(dataset, (f"A part of the channels {problem}.",))


def _opened_with(
    domain: Domain, config: DataConfig, dataset: Dataset, value_range: Range
) -> tuple[Dataset, list[int]]:
    """Opens a dataset anew with another value range; returns the channels of another unit.

    These are channels whose range is neither like the one that they have alone, which may be that
    of a window, nor like the one that is measured as they are read now.
    """
    own = dataset.value_range
    if np.allclose(value_range, own):
        return dataset, []
    dataset = open_dataset(domain, config, value_range)
    measured = dataset.measure_value_range()
    rows = enumerate(zip(value_range, own, measured, strict=True))
    return dataset, [i for i, (given, *now) in rows if not any(_alike(given, x) for x in now)]


def _alike(a: Range, b: Range) -> bool:
    """Tells whether two ranges may be of the same unit: they overlap and are similarly wide."""
    widths = np.ptp(a), np.ptp(b)
    overlap = min(a[1], b[1]) > max(a[0], b[0])
    alike = overlap and max(widths) < _FAR * min(widths)
    if _EIGHT_BITS in (tuple(a), tuple(b)):  # then the other has no larger values
        return bool(alike and max(a[1], b[1]) <= _EIGHT_BITS[1])
    return bool(alike)


def _compared(names: Sequence[str], own: Range, earlier: Range, chosen: Sequence[int]) -> str:
    """Lists up to three channels with both ranges."""
    texts = [
        f"{names[i]} is {own[i][0]:.6g} to {own[i][1]:.6g} here and "
        f"{earlier[i][0]:.6g} to {earlier[i][1]:.6g} there"
        for i in chosen[:3]
    ]
    more = len(chosen) - 3
    return ", ".join(texts) + (f", and {more} more" if more > 0 else "")


def for_other_images(
    domain: Domain, config: DataConfig, path: str, reader: str = ""
) -> tuple[DataConfig, tuple[str, ...]]:
    """Fits the settings of a run's images to other images, which may need another reader.

    The labels of the run and its reader, where it cannot open the new images, are left out, and so
    are options that the reader of the new images does not take.

    Args:
        domain: Says which datasets can open its files.
        config: The settings of the run.
        path: The new images.
        reader: Reader that the user chose; "" for none.

    Returns:
        The settings, and remarks on what was left out.
    """
    remarks = []
    if config.reader and not reader and not datasets[config.reader].accepts(Path(path)):
        remarks.append(f"The reader {config.reader} of the run does not open these images.")
    else:
        reader = reader or config.reader
    other = config.model_copy(update={"path": path, "labels": "", "reader": reader})
    name = reader_of(domain, other)
    before, _ = parse_name(config.path)
    unfit = datasets[before].of_one_set if before and located(path) != config.path else ()
    options, left_out = _taken(datasets[name], config.options, unfit)
    if left_out:
        remarks.append(
            f"Options of the run's images that the reader {name} does not take are left out: "
            f"{', '.join(left_out)}."
        )
    return other.model_copy(update={"options": options}), tuple(remarks)


def _taken(
    reader: type[Dataset], options: Mapping[str, Any], unfit: Collection[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns the options that a reader takes, without unfit ones, and the names of the others."""
    taken: dict[str, Any] = {}
    for name, value in options.items():
        if name in unfit:
            continue
        try:
            validate(reader.Config, {**taken, name: value})
        except UsageError:
            continue
        taken[name] = value
    return taken, tuple(name for name in options if name not in taken)
