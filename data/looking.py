"""Looks at the pixels of a sample of images: types, sizes, values, descriptors."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset, Image
from ..core.errors import DataError
from ..core.index import evenly_spaced
from .copies import descriptor
from .pixels import suspected_fills

_PIXELS = 2**18  # per image: when as many as `most` images of this size are read, it is enough
_LEAST = 16  # images that are looked at however large they are
_VALUES = 2048  # pixels of an image whose values are looked at
_GOLDEN = 0.6180339887  # its multiples spread any number of images evenly
_WINDOWS, _OUTSIDE = {"window", "range"}, 0.1  # options of readers; share of the values
_CLIPPED, _LEVELS = 0.01, 16  # share of the highest value, and number of values, of clipped bands


@dataclass(frozen=True)
class Channel:
    """Values of one channel, in physical units, over the images that were looked at.

    Attributes:
        name: Of the channel.
        low: Smallest finite value of all pixels.
        high: Largest finite value of all pixels.
        mapped: Values that become the lowest and the highest image value.
        outside: Share of the finite values outside of `mapped`, from 0 to 1.
        invalid: Share of NaN and infinite values, from 0 to 1.
        fill: A value that looks like undeclared missing data, None if there is none.
        clipped: Share of the values that are `high`, if it is suspiciously large, else 0.
    """

    name: str
    low: float
    high: float
    mapped: tuple[float, float]
    outside: float
    invalid: float
    fill: float | None
    clipped: float = 0.0


@dataclass
class Sample:
    """The images that were looked at: facts of each, and some pixels of all.

    Attributes:
        looked_at: Number of images, unreadable ones included.
        positions: Of the readable images in the dataset.
        descriptors: Of each; see `copies.descriptor`.
        digests: A hash of the pixels of each.
        types: Number types with their counts.
        sizes: (height, width) with their counts.
        pixels: (n, C) values of each, some.
        extremes: (2, C) smallest and largest finite value of each; infinite if there is none.
        colored: Number of images whose channels differ.
        unreadable: Reasons by key.
    """

    looked_at: int = 0
    positions: list[int] = field(default_factory=list)
    descriptors: list[NDArray[np.float32]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    types: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    pixels: list[NDArray[np.float64]] = field(default_factory=list)
    extremes: list[NDArray[np.float64]] = field(default_factory=list)
    colored: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    def add(self, position: int, image: Image, scaled: Image) -> None:
        """Adds an image (H, W, C) as it was read, and as it was scaled."""
        self.positions.append(position)
        self.types[image.dtype.name] += 1
        self.sizes[image.shape[0], image.shape[1]] += 1
        self.digests.append(hashlib.sha256(np.ascontiguousarray(image).data).hexdigest())
        self.descriptors.append(descriptor(scaled))
        flat = image.reshape(-1, image.shape[2])
        flat = np.abs(flat) if np.iscomplexobj(flat) else flat
        finite = np.isfinite(flat)
        low = np.where(finite, flat, np.inf).min(axis=0)
        high = np.where(finite, flat, -np.inf).max(axis=0)
        self.extremes.append(np.array([low, high], dtype=np.float64))
        values = flat[:: max(1, len(flat) // _VALUES)]
        self.colored += bool((values != values[:, :1]).any())
        self.pixels.append(values.astype(np.float64))


def look_at(dataset: Dataset, most: int) -> Sample:
    """Reads images that are evenly spread, up to `most`, and fewer if they are large.

    Raises:
        DataError: If none of them can be read.
    """
    sample, pixels = Sample(), 0
    for position in _spread(len(dataset), most):
        if pixels > _PIXELS * most and sample.looked_at >= _LEAST:
            break
        sample.looked_at += 1
        try:
            image = dataset.read(position)
            scaled = dataset.scale(image)
        except DataError as error:
            sample.unreadable[dataset.index.key(position)] = str(error)
            continue
        pixels += image.shape[0] * image.shape[1]
        sample.add(position, image, scaled)
    if not sample.pixels:
        key, reason = next(iter(sample.unreadable.items()))
        raise DataError(f"None of the images looked at can be read; '{key}': {reason}.")
    return sample


def _spread(count: int, most: int) -> Iterator[int]:
    """Yields evenly spaced positions in an order whose beginnings are evenly spread, too."""
    positions = evenly_spaced(count, most)
    yield from positions[np.argsort(np.arange(len(positions)) * _GOLDEN % 1)].tolist()


def _channel_facts(
    name: str,
    values: NDArray[np.float64],
    extremes: NDArray[np.float64],
    mapped: NDArray[np.float64],
    is_bytes: bool,
) -> Channel:
    """Describes the values of a channel.

    Args:
        name: Of the channel.
        values: (n,) values of some pixels, NaN where there is none.
        extremes: (2,) smallest and largest value of all pixels.
        mapped: Values that become the lowest and the highest image value.
        is_bytes: Whether the images are uint8, in which 0 and 255 are often clipped by design.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(end) for end in mapped)
    if not len(finite):
        return Channel(name, np.nan, np.nan, (low, high), 0.0, 1.0, None)
    top = float((finite == finite.max()).mean())
    rescaled = is_bytes or (low, high) == (0.0, 1.0)  # by the reader, which clips
    levels = 0 if rescaled or top < _CLIPPED else len(np.unique(finite))
    return Channel(
        name,
        float(extremes[0]),
        float(extremes[1]),
        (low, high),
        float(((finite < low) | (finite > high)).mean()),
        1 - len(finite) / len(values),
        next(iter(suspected_fills(finite)), None),
        top if levels > _LEVELS else 0.0,
    )


def channels_of(dataset: Dataset, sample: Sample) -> tuple[Channel, ...]:
    """Describes the values of all channels."""
    values, extremes = np.concatenate(sample.pixels).T, np.stack(sample.extremes)
    ends = np.stack([extremes[:, 0].min(axis=0), extremes[:, 1].max(axis=0)], axis=1)
    rows = zip(dataset.channels, values, ends, dataset.value_range, strict=True)
    return tuple(_channel_facts(*row, [*sample.types] == ["uint8"]) for row in rows)


def outside_of_window(dataset: Dataset, channels: Sequence[Channel]) -> Iterator[str]:
    """Names channels of which much lies outside of a range that the user gave in numbers."""
    options = dataset.options
    given = [getattr(options, name) for name in options.model_fields_set & _WINDOWS]
    is_given = any(isinstance(ends, tuple | list) for ends in given)
    for channel in channels if is_given else ():
        if channel.outside > _OUTSIDE:
            low, high = channel.mapped
            yield (
                f"Channel {channel.name}: {100 * channel.outside:.0f} % of the values lie outside "
                f"of the given range, {low:g} to {high:g}, and become black or white. This may be "
                "air or another background; otherwise give another range."
            )
