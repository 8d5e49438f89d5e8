"""The index of a dataset: what it holds, without its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

SPLITS = ("", "train", "val", "test")


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Returns up to `most` of the positions 0 to `count` - 1, evenly spaced, sorted, (n,).

    The first and the last position are among them if `most` is at least 2.
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


@dataclass(frozen=True)
class LabelSource:
    """Where labels, groups and splits come from.

    Attributes:
        table: File with columns path, label, group, split; None to look for labels.csv in the
            folder of the data, or at its folders.
        layout: Pattern of folders such as "{group}/{label}/*"; "" to find out.
        masks: Whether masks and segmentations beside images are images too.
        targets: What labels are: "classes", "numbers", "several" an image, or "auto".
    """

    table: Path | None = None
    layout: str = ""
    masks: bool = False
    targets: str = "auto"


@dataclass(frozen=True)
class Index:
    """What a dataset holds, without its pixels: compact arrays that worker processes share.

    Attributes:
        keys: (n,) unique names, UTF-8 bytes.
        labels: (n,) class numbers, int32, -1 where unlabeled.
        classes: Class names.
        groups: (n,) group numbers, int64.
        group_names: (g,) group names, UTF-8 bytes.
        splits: (n,) int8 positions in `SPLITS`; 0 where none is declared.
        positions: (n, P) position of each image in its group, float32; P may be 0.
        remarks: What was assumed and left out, one sentence each; the commands print them. No
            patient's name may stand in one.
        targets: (n, T) labels that are no classes, float32, NaN where unlabeled: a number (T = 1),
            or 0 or 1 for each of T classes of which an image may have several; None if none are.
        target_names: Names of the T targets.
        origins: How "label", "group" and "split" were found, in words.
    """

    keys: NDArray[np.bytes_]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    groups: NDArray[np.int64]
    group_names: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    positions: NDArray[np.float32]
    remarks: tuple[str, ...] = ()
    targets: NDArray[np.float32] | None = None
    target_names: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        keys: Sequence[str],
        *,
        identities: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        positions: ArrayLike | None = None,
        remarks: Sequence[str] = (),
    ) -> Index:
        """Packs plain lists of equal length n.

        Args:
            keys: Unique names.
            identities: What tells an image from all others anywhere (name and size, for example).
                It names the group of an image without a group; the keys if left out.
            labels: Class names, "" where unlabeled.
            groups: Group names, "" where the image is a group of its own.
            splits: "train", "val", "test" or "".
            positions: (n, P) numbers.
            remarks: What was assumed and left out.
        """
        n = len(keys)
        pairs = zip(groups or [""] * n, identities or keys, strict=True)
        names = [group or identity for group, identity in pairs]
        codes, classes = _number_labels(labels or [""] * n)
        group_codes, group_names = _number_groups(names)
        return cls(
            keys=_pack(keys),
            labels=codes,
            classes=classes,
            groups=group_codes,
            group_names=group_names,
            splits=np.array([SPLITS.index(s) for s in splits or [""] * n], dtype=np.int8),
            positions=_as_positions(positions, n),
            remarks=tuple(remarks),
        )

    def take(self, chosen: ArrayLike) -> Index:
        """Returns the index of the images at some positions (n,), in their order.

        Class and group numbers stay the same.
        """
        rows = np.asarray(chosen)
        return replace(
            self,
            keys=self.keys[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            splits=self.splits[rows],
            positions=self.positions[rows],
            targets=None if self.targets is None else self.targets[rows],
        )

    def expand(
        self,
        parents: ArrayLike,
        keys: Sequence[str] | None = None,
        positions: ArrayLike | None = None,
        *,
        labels: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> Index:
        """Returns the index of the parts of these images: the tiles, slices or windows of files.

        What is left out is that of the parent; a part always has the split of its parent.

        Args:
            parents: (n,) position of the image that each part belongs to.
            keys: n unique names.
            positions: (n, P) position of each part in its group.
            labels: n class names, "" where unlabeled.
            groups: n group names.
            origins: How labels and groups were found, where it is not as for the parents.
        """
        parts = replace(self.take(parents), origins={**self.origins, **(origins or {})})
        if keys is not None:
            parts = replace(parts, keys=_pack(keys))
        if positions is not None:
            parts = replace(parts, positions=_as_positions(positions, len(parts)))
        if labels is not None:
            codes, classes = _number_labels(labels)
            parts = replace(parts, labels=codes, classes=classes)
        if groups is not None:
            group_codes, group_names = _number_groups(groups)
            parts = replace(parts, groups=group_codes, group_names=group_names)
        return parts

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, i: int) -> str:
        """Returns the name of image i."""
        return _text(self.keys[i])

    def label(self, i: int) -> str:
        """Returns the class name of image i, "" if it is unlabeled."""
        return self.classes[self.labels[i]] if self.labels[i] >= 0 else ""

    def group(self, i: int) -> str:
        """Returns the name of the group of image i."""
        return _text(self.group_names[self.groups[i]])

    def group_hashes(self, chosen: NDArray[np.int64] | slice = slice(None)) -> set[str]:
        """Returns a fingerprint of each group among the chosen images.

        Only fingerprints reach a run folder, because a group name may be a patient's.
        """
        names = self.group_names[np.unique(self.groups[chosen])]
        return {hashlib.sha256(name).hexdigest()[:16] for name in names}

    def fingerprint(self) -> str:
        """Returns 16 hex digits that change when the names, sizes, labels or splits change."""
        digest = hashlib.sha256()
        for part in (self.keys, self.labels, self.group_names, self.groups, self.splits):
            digest.update(part.tobytes())
        digest.update(b"" if self.targets is None else self.targets.tobytes())
        digest.update(b"\n".join(_pack((*self.classes, *self.target_names))))
        return digest.hexdigest()[:16]


def _pack(texts: Sequence[str]) -> NDArray[np.bytes_]:
    packed = [text.encode(errors="surrogateescape") for text in texts]  # file names may be no UTF-8
    return np.array(packed or [b""], dtype=np.bytes_)[: len(texts)]


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _number_labels(labels: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Returns the class number of each label, -1 for "", and the class names."""
    names = np.array(labels, dtype=np.str_)
    classes = tuple(str(name) for name in np.unique(names) if name)
    codes = np.searchsorted(np.array(classes or [""]), names).astype(np.int32)
    codes[names == ""] = -1
    return codes, classes


def _number_groups(groups: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bytes_]]:
    """Returns the number of each group, and the group names."""
    names, codes = np.unique(_pack(groups), return_inverse=True)
    return codes.astype(np.int64), names


def _as_positions(positions: ArrayLike | None, n: int) -> NDArray[np.float32]:
    return np.asarray(np.zeros((n, 0)) if positions is None else positions, dtype=np.float32)
