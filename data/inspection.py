"""What the kit understood of a dataset: images, labels, groups, parts, copies, and suspicions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset, Image
from ..core.errors import DataError
from ..core.index import Index, evenly_spaced
from .pixels import suspected_fills
from .splits import Splits

SAMPLE = 512
_SIDE = 16  # pixels of the descriptor that copies are found by
_ALIKE = 0.995  # cosine of two descriptors
_APART = 30  # ratio of the largest values of two images, without images between them


@dataclass(frozen=True)
class Channel:
    """Values of one channel, in physical units, over the images that were looked at.

    Attributes:
        name: Of the channel.
        low: Smallest finite value.
        high: Largest finite value.
        mapped: Values that become the lowest and the highest image value.
        outside: Share of the finite values outside of `mapped`, from 0 to 1.
        invalid: Share of NaN and infinite values, from 0 to 1.
        fill: A value that looks like undeclared missing data, None if there is none.
    """

    name: str
    low: float
    high: float
    mapped: tuple[float, float]
    outside: float
    invalid: float
    fill: float | None


@dataclass(frozen=True)
class Copies:
    """Pairs of images that are equal or nearly so, among those that were looked at.

    Attributes:
        equal: Pairs with the same pixels.
        near: Further pairs of different groups whose thumbnails have a correlation above 0.995.
        across_classes: Pairs of either kind with different labels.
        across_split: Pairs of either kind of which one image is in the test part.
        example: Keys of one pair, () if there is none.
    """

    equal: int
    near: int
    across_classes: int
    across_split: int
    example: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What was understood of a dataset.

    Attributes:
        images: Number of images.
        looked_at: Number of images whose pixels were looked at, evenly spread.
        unreadable: Reasons by key, of the images looked at.
        types: Number types with their counts, such as {"uint8": 12}.
        sizes: "height x width" with their counts, the most frequent first.
        channels: One per channel.
        constant: Images looked at whose pixels are all equal.
        classes: Number of images by class.
        unlabeled: Number of images without a label.
        groups: Number of groups.
        single: Whether every image is a group of its own.
        parts: Number of images in the training, validation and test part.
        copies: Equal and nearly equal images.
        remarks: What was assumed and left out while indexing and splitting.
        warnings: What looks wrong, one sentence each.
    """

    images: int
    looked_at: int
    unreadable: Mapping[str, str]
    types: Mapping[str, int]
    sizes: Mapping[str, int]
    channels: tuple[Channel, ...]
    constant: int
    classes: Mapping[str, int]
    unlabeled: int
    groups: int
    single: bool
    parts: Mapping[str, int]
    copies: Copies
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)


def inspect_dataset(dataset: Dataset, splits: Splits, most: int = SAMPLE) -> Inspection:
    """Looks at the index of a dataset, and at the pixels of some images, evenly spread.

    Args:
        dataset: The images.
        splits: Their training, validation and test part.
        most: Largest number of images whose pixels are looked at.
    """
    index = dataset.index
    positions = evenly_spaced(len(dataset), most)
    sample = _look_at(dataset, positions)
    labels = Counter(index.classes[n] for n in index.labels[index.labels >= 0].tolist())
    parts = {"train": len(splits.train), "val": len(splits.val), "test": len(splits.test)}
    copies = _copies(sample, index, splits)
    channels = tuple(
        _channel(name, values, dataset.value_range[c])
        for c, (name, values) in enumerate(zip(dataset.channels, sample.values, strict=True))
    )
    constant = int(sum(not descriptor.any() for descriptor in sample.descriptors))
    return Inspection(
        images=len(dataset),
        looked_at=len(positions),
        unreadable=sample.unreadable,
        types=dict(sample.types.most_common()),
        sizes=dict(sample.sizes.most_common()),
        channels=channels,
        constant=constant,
        classes=dict(labels.most_common()),
        unlabeled=int((index.labels < 0).sum()),
        groups=len(np.unique(index.groups)),
        single=len(np.unique(index.groups)) == len(index),
        parts=parts,
        copies=copies,
        remarks=(*index.remarks, *splits.remarks),
        warnings=tuple(_warnings(sample, channels, constant, copies)),
    )


@dataclass
class _Sample:
    """The images that were looked at: facts of each, and some pixels of all."""

    positions: list[int]
    descriptors: list[NDArray[np.float32]]
    digests: list[str]
    types: Counter[str]
    sizes: Counter[str]
    values: list[NDArray[np.float64]]
    peaks: list[float]
    unreadable: dict[str, str]


def _look_at(dataset: Dataset, positions: NDArray[np.int64]) -> _Sample:
    sample = _Sample([], [], [], Counter(), Counter(), [], [], {})
    pixels: list[NDArray[np.float64]] = []
    for position in positions.tolist():
        try:
            image = dataset.read(position)
            scaled = dataset.scale(image)
        except DataError as error:
            sample.unreadable[dataset.index.key(position)] = str(error)
            continue
        sample.positions.append(position)
        sample.types[image.dtype.name] += 1
        sample.sizes[f"{image.shape[0]} x {image.shape[1]}"] += 1
        sample.digests.append(hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest())
        sample.descriptors.append(descriptor(scaled))
        magnitude = np.abs(image) if np.iscomplexobj(image) else image
        flat = magnitude.reshape(-1, image.shape[2]).astype(np.float64)
        pixels.append(flat[:: max(1, len(flat) // 2048)])
        sizes = np.abs(pixels[-1][np.isfinite(pixels[-1])])
        sample.peaks.append(float(np.percentile(sizes, 99)) if len(sizes) else 0.0)
    if not pixels:
        key, reason = next(iter(sample.unreadable.items()))
        raise DataError(f"None of the images looked at can be read; '{key}': {reason}.")
    sample.values = list(np.concatenate(pixels).T)
    return sample


def descriptor(image: Image) -> NDArray[np.float32]:
    """Returns a thumbnail (256,) with a mean of 0 and a length of 1; zeros for a constant image.

    Args:
        image: (H, W, C), uint8 or float32.
    """
    mean = image.astype(np.float32).mean(axis=2)
    small = cv2.resize(mean, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    scale = 255.0 if image.dtype == np.uint8 else 1.0
    if length < 1e-4 * scale and float(mean.max() - mean.min()) < 1e-3 * scale:
        return np.zeros(_SIDE * _SIDE, dtype=np.float32)
    return np.asarray(small / max(length, 1e-12), dtype=np.float32)


def _channel(name: str, values: NDArray[np.float64], mapped: NDArray[np.float64]) -> Channel:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Channel(name, np.nan, np.nan, (mapped[0], mapped[1]), 0.0, 1.0, None)
    low, high = (float(end) for end in mapped)
    outside = float(((finite < low) | (finite > high)).mean())
    return Channel(
        name,
        float(finite.min()),
        float(finite.max()),
        (low, high),
        outside,
        1 - len(finite) / len(values),
        next(iter(suspected_fills(finite)), None),
    )


def _copies(sample: _Sample, index: Index, splits: Splits) -> Copies:
    positions = np.array(sample.positions)
    codes = np.unique(sample.digests, return_inverse=True)[1]
    matrix = np.stack(sample.descriptors)
    varied: NDArray[Any] = np.abs(matrix).max(axis=1) > 0
    alike: NDArray[Any] = (matrix @ matrix.T > _ALIKE) & np.outer(varied, varied)
    equal: NDArray[Any] = np.triu(codes[:, None] == codes[None, :], 1)
    groups = index.groups[positions]  # slices and frames of one group are alike by nature
    near = np.triu(alike & (groups[:, None] != groups[None, :]), 1) & ~equal
    first, second = np.nonzero(equal | near)
    labels = index.labels[positions]
    in_test: NDArray[Any] = np.isin(positions, splits.test)
    known = (labels[first] >= 0) & (labels[second] >= 0)
    pair = tuple(index.key(positions[i]) for i in (first[0], second[0])) if len(first) else ()
    return Copies(
        int(equal.sum()),
        int(near.sum()),
        int((known & (labels[first] != labels[second])).sum()),
        int((in_test[first] != in_test[second]).sum()),
        pair,
    )


def _warnings(
    sample: _Sample, channels: Sequence[Channel], constant: int, copies: Copies
) -> list[str]:
    """Names what looks wrong."""
    warnings = []
    looked_at = len(sample.positions)
    if sample.unreadable:
        key, reason = next(iter(sample.unreadable.items()))
        warnings.append(
            f"{len(sample.unreadable)} of {looked_at + len(sample.unreadable)} images looked at "
            f"cannot be read, the first '{key}': {reason}."
        )
    if len(sample.types) > 1:
        listed = ", ".join(f"{n} {name}" for name, n in sample.types.most_common())
        warnings.append(f"The images have several number types: {listed}.")
    for channel in channels:
        if channel.fill is not None:
            warnings.append(
                f"Channel {channel.name}: many pixels are {channel.fill:g}, far from all other "
                "values; this looks like missing data that the files do not declare."
            )
    if constant:
        warnings.append(f"{constant} of {looked_at} images looked at are constant.")
    warnings += _unlike_scales(sample)
    if copies.across_split:
        warnings.append(
            f"{copies.across_split} pairs of equal or nearly equal images lie across the test "
            "part and the rest: results on the test part may be too good. Give them one group."
        )
    if copies.across_classes:
        warnings.append(
            f"{copies.across_classes} pairs of equal or nearly equal images have different labels."
        )
    return warnings


def _unlike_scales(sample: _Sample) -> list[str]:
    """Names images whose values are so much larger that their unit or scale must be another."""
    peaks = np.sort([peak for peak in sample.peaks if peak > 0])
    if len(peaks) < 2:
        return []
    ratios = peaks[1:] / peaks[:-1]
    at = int(ratios.argmax()) + 1
    if ratios[at - 1] < _APART or set(sample.types) == {"uint8"}:
        return []
    return [
        f"{len(peaks) - at} of {len(peaks)} images looked at have values up to {peaks[-1]:.3g}, "
        f"the others up to {peaks[at - 1]:.3g}: their units or scales may differ, but one value "
        "range serves all."
    ]
