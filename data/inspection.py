"""What the kit understood of a dataset: images, labels, groups, parts, copies, and suspicions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.dataset import Dataset
from ..core.errors import UsageError
from ..core.index import Index
from .channel_spellings import MAY_BE_A_SLIP
from .companions import counted_by_ending
from .copies import Copies, find_copies
from .counting import agree, plural
from .file_dataset import FileDataset
from .files import table_in
from .looking import Channel, Sample, channels_of, look_at, outside_of_window
from .splits import Splits, more_groups, origins_of
from .table import MAY_BE_GROUPS

SAMPLE = 1024
AT_START = 64  # images that are looked at before a training
_RARE = 5  # reasons that are listed
_FEW = 6  # test groups
_APART = 30  # ratio of the largest values of two images, without images between them


@dataclass(frozen=True)
class Inspection:
    """What was understood of a dataset.

    Attributes:
        images: Number of images.
        files: Number of files that are read, by ending, as a text; "" where there are no files.
        looked_at: Number of images whose pixels were looked at, evenly spread.
        unreadable: Number of unreadable files or images by reason: all that the reader refused
            when it opened them, and those among the images looked at.
        types: Number types of the images as they are read, with their counts: {"uint8": 12}.
        sizes: "height x width" with their counts, the most frequent first.
        channels: One per channel.
        gray: Whether all channels are equal in all images looked at.
        constant: Images looked at whose pixels are all equal.
        classes: Number of images by class.
        targets: Number of images by class where an image may have several classes; lowest and
            highest value where labels are numbers.
        unlabeled: Number of images without a label.
        groups: Number of groups.
        single: Whether every image is a group of its own.
        origins: How "label" and "group" were found, and "split" if a test part is declared.
        parts: Number of images in the training, validation and test part.
        part_groups: Number of groups in each part.
        part_classes: Number of images by class in each part.
        copies: Equal and nearly equal images.
        details: Table of the files, its heading first; empty if the reader tells nothing of them.
        remarks: What was assumed and left out while indexing and splitting.
        warnings: What looks wrong, one sentence each.
    """

    images: int
    files: str
    looked_at: int
    unreadable: Mapping[str, int]
    types: Mapping[str, int]
    sizes: Mapping[str, int]
    channels: tuple[Channel, ...]
    gray: bool
    constant: int
    classes: Mapping[str, int]
    targets: Mapping[str, float]
    unlabeled: int
    groups: int
    single: bool
    origins: Mapping[str, str]
    parts: Mapping[str, int]
    part_groups: Mapping[str, int]
    part_classes: Mapping[str, Mapping[str, int]]
    copies: Copies
    details: Sequence[Sequence[str]]
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]

    def refuse_warnings(self) -> None:
        """Raises UsageError if something looks wrong, as `--strict` asks for."""
        if self.warnings:
            raise UsageError(f"--strict refuses these images. {' '.join(self.warnings)}")

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
    index, sample = dataset.index, look_at(dataset, most)
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    channels = channels_of(dataset, sample)
    constant = sum(not descriptor.any() for descriptor in sample.descriptors)
    copies = find_copies(sample.positions, sample.digests, sample.descriptors, index, splits)
    unreadable = _unreadable(dataset, sample)
    warnings = [
        *_of_pixels(sample, channels, constant, unreadable),
        *outside_of_window(dataset, channels),
        *(dataset.warnings() if isinstance(dataset, FileDataset) else ()),
        *_of_copies(copies, sample),
        *splits.warnings,
        *(r for r in index.remarks if MAY_BE_GROUPS in r or MAY_BE_A_SLIP in r),
    ]
    gray = len(channels) > 1 and not sample.colored
    return Inspection(
        images=len(dataset),
        files=_files(dataset),
        looked_at=sample.looked_at,
        unreadable=unreadable,
        types=dict(sample.types.most_common()),
        sizes={f"{height} x {width}": n for (height, width), n in sample.sizes.most_common()},
        channels=channels,
        gray=gray,
        constant=constant,
        classes=_counts(index),
        targets=_targets(index),
        unlabeled=int((_labeled(index) == 0).sum()),
        groups=_distinct(index.groups),
        single=_distinct(index.groups) == len(index),
        origins=origins_of(index),
        parts={name: len(part) for name, part in parts.items()},
        part_groups={name: _distinct(index.groups[part]) for name, part in parts.items()},
        part_classes={name: _counts(index.take(part)) for name, part in parts.items()},
        copies=copies,
        details=dataset.details() if isinstance(dataset, FileDataset) else (),
        remarks=tuple(r for r in _remarks(dataset, splits, channels, gray) if r not in warnings),
        warnings=tuple(warnings),
    )


def summary(facts: Inspection) -> str:
    """Says in a line how images were read, and where labels and groups come from."""
    kinds = ", ".join(facts.types)
    size = next(iter(facts.sizes)) if len(facts.sizes) == 1 else f"{len(facts.sizes)} sizes"
    labels = plural(len(facts.classes), "class") if facts.classes else "labels"
    origin = facts.origins.get("label", "")
    named = f"{labels} from {origin}" if origin else labels if facts.classes else "no labels"
    by = facts.origins.get("group", "")
    groups = "each image is a group" if facts.single else plural(facts.groups, "group")
    return f"Read as {kinds}, {size}; {named}; {groups}{f' from {by}' if by else ''}."


def _files(dataset: Dataset) -> str:
    if not isinstance(dataset, FileDataset):
        return ""
    files: Index | None = getattr(dataset, "files", None)  # None where one file has all images
    keys = [dataset.path.name.encode()] if files is None else files.keys.tolist()
    names = [key.decode(errors="replace") for key in keys]
    table = table_in(dataset.path)
    return counted_by_ending([name for name in names if not table or name != table.name])


def _unreadable(dataset: Dataset, sample: Sample) -> dict[str, int]:
    refused: dict[int, str] = getattr(dataset, "faults", {})
    reasons = Counter(refused.values())
    known = set(reasons)
    reasons.update(reason for reason in sample.unreadable.values() if reason not in known)
    return dict(reasons.most_common())


def _counts(index: Index) -> dict[str, int]:
    numbers = np.bincount(index.labels[index.labels >= 0], minlength=len(index.classes))
    order = np.argsort(-numbers, kind="stable").tolist()
    return {index.classes[k]: int(numbers[k]) for k in order if numbers[k]}


def _labeled(index: Index) -> NDArray[np.bool_]:
    targets = index.targets
    known = index.labels >= 0
    return known if targets is None else known | np.isfinite(targets).all(axis=1)


def _targets(index: Index) -> dict[str, float]:
    if index.targets is None or not np.isfinite(index.targets).any():
        return {}
    if len(index.target_names) == 1:
        numbers = index.targets[np.isfinite(index.targets)]
        return {"lowest": float(numbers.min()), "highest": float(numbers.max())}
    totals = np.nansum(index.targets, axis=0)
    return {name: int(n) for name, n in zip(index.target_names, totals, strict=True)}


def _distinct(groups: NDArray[np.int64]) -> int:
    """Counts the different numbers; much faster than `np.unique` for a million images."""
    return int(np.count_nonzero(np.bincount(groups)))


def _remarks(
    dataset: Dataset, splits: Splits, channels: tuple[Channel, ...], gray: bool
) -> Iterator[str]:
    """Yields what was assumed and is no warning."""
    yield from (*dataset.index.remarks, *splits.remarks)
    if gray:
        yield _gray(dataset)
    if all(channel.mapped == (0, 1) for channel in channels):
        yield (
            "The reader has mapped the values to 0 to 1, image by image or volume by volume, and "
            "they have no physical unit; options of the reader may keep one."
        )
    groups = _distinct(dataset.index.groups[splits.test])
    if 0 < groups < _FEW:
        yield (
            f"The test part has {plural(groups, 'group')}; a verdict needs at least {_FEW}. "
            f"{more_groups(dataset.index, _FEW)}"
        )


def _gray(dataset: Dataset) -> str:
    field = type(dataset).Config.model_fields.get("channels")
    offers = field is not None and "gray" in getattr(field.annotation, "__args__", ())
    return (
        f"The {len(dataset.channels)} channels are equal in all images looked at: gray images "
        "stored in color"
        + ("; --set data.options.channels=gray reads one channel." if offers else ".")
    )


def _of_pixels(
    sample: Sample, channels: tuple[Channel, ...], constant: int, unreadable: Mapping[str, int]
) -> Iterator[str]:
    """Names what looks wrong in the pixels."""
    for reason, count in list(unreadable.items())[:_RARE]:
        key = next((key for key, why in sample.unreadable.items() if why == reason), "")
        example = f", such as '{key}'" if key else ""
        yield f"Unreadable: {count} of the files or images{example}: {reason.rstrip('.')}."
    if len(unreadable) > _RARE:
        others = plural(len(unreadable) - _RARE, "other reason")
        yield f"Unreadable for {others}, each of fewer files."
    if len(sample.types) > 1:
        listed = ", ".join(f"{n} {name}" for name, n in sample.types.most_common())
        yield f"The images have several number types: {listed}."
    for channel in channels:
        yield from _of_channel(channel)
    if constant:
        looked = plural(len(sample.positions), "image")
        yield f"{constant} of {looked} looked at {agree(constant, 'is', 'are')} constant."
    yield from _unlike_scales(sample)


def _of_channel(channel: Channel) -> Iterator[str]:
    """Names what looks wrong in the values of a channel."""
    if channel.invalid == 1:
        yield f"Channel {channel.name} has no number in any image looked at."
    if channel.fill is not None:
        yield (
            f"Channel {channel.name}: many pixels are {channel.fill:g}, far from all other values; "
            "this looks like missing data that the files do not declare."
        )
    if channel.clipped:
        yield (
            f"Channel {channel.name}: {100 * channel.clipped:.1f} % of the values are the highest, "
            f"{channel.high:.4g}; they look clipped or saturated."
        )


def _of_copies(copies: Copies, sample: Sample) -> Iterator[str]:
    """Names copies that spoil results, among the images that were looked at."""
    among = f"among the {len(sample.positions)} images looked at"
    if copies.across_split:
        yield (
            "Pairs of equal or nearly equal images lie across the test part and the rest "
            f"({copies.across_split} {among}), so that results on the test part may be too good. "
            "Give copies of one image one group."
        )
    if copies.across_classes:
        yield (
            "Pairs of equal or nearly equal images have different labels "
            f"({copies.across_classes} {among})."
        )


def _unlike_scales(sample: Sample) -> Iterator[str]:
    """Names images whose values are so much larger that their unit or scale must be another."""
    sizes = [np.abs(pixels[np.isfinite(pixels)]) for pixels in sample.pixels]
    peaks = np.sort([np.percentile(each, 99) for each in sizes if len(each) and each.any()])
    if len(peaks) < 2 or set(sample.types) == {"uint8"}:
        return
    ratios = peaks[1:] / np.maximum(peaks[:-1], 1e-12)
    at = int(ratios.argmax()) + 1
    if ratios[at - 1] >= _APART:
        yield (
            f"{len(peaks) - at} of {len(peaks)} images looked at have values up to "
            f"{peaks[-1]:.3g}, the others up to {peaks[at - 1]:.3g}: their units or scales may "
            "differ, but one value range serves all."
        )
