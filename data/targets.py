"""What labels are: classes, several classes an image, or numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UsageError, did_you_mean
from ..core.index import Index
from .counting import agree, plural

Kind = Literal["auto", "classes", "numbers", "several"]
NONE = "|"
"""The label of an image that has none of the classes of which images have several."""

_MANY = 10  # classes that are whole numbers, above which they may be measurements


@dataclass(frozen=True)
class Labels:
    """Labels as they were understood.

    Attributes:
        classes: Class of each image, "" where it has none or several.
        targets: See `Index.targets`.
        names: Names of the targets.
        remarks: What was assumed, one sentence each.
    """

    classes: list[str]
    targets: NDArray[np.float32] | None = None
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def understand_labels(labels: Sequence[str], kind: str = "auto") -> Labels:
    """Tells classes, several classes an image, and numbers apart.

    Several classes are joined by a bar ("cat|dog"), and "|" is none of them. Labels are numbers if
    all of them are and more than two differ, and either one is no whole number, or more than 50,
    and more than half of them, differ. So the grades 0 to 4 are classes.

    Args:
        labels: One per image, "" where unlabeled.
        kind: What they are, "auto" to find out. As "classes", "cat|dog" is a class too.

    Raises:
        UsageError: If they are to be numbers and one is not.
    """
    if kind == "classes" or not any(labels):
        return Labels(["" if label == NONE else label for label in labels])
    numbers = [_number(label) for label in labels]
    if kind == "numbers" or (kind == "auto" and _are_measured(labels, numbers)):
        return _as_numbers(labels, numbers)
    if kind == "several" or any("|" in label for label in labels):
        return _as_several(labels)
    names = {label for label, number in zip(labels, numbers, strict=True) if label}
    if len(names) > _MANY and all(number is not None for number in numbers):
        return Labels(
            list(labels),
            remarks=(
                f"The labels are {len(names)} different whole numbers, and each counts as a class; "
                "--set data.targets=numbers takes them for measurements.",
            ),
        )
    return Labels(list(labels))


def _number(label: str) -> float | None:
    """Returns a label as a number, NaN for "", None if it is none; "1,5" is 1.5."""
    if not label:
        return math.nan
    try:
        number = float(label.replace(",", ".") if re.fullmatch(r"-?\d+,\d+", label) else label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _are_measured(labels: Sequence[str], numbers: Sequence[float | None]) -> bool:
    known = [number for label, number in zip(labels, numbers, strict=True) if label]
    if None in known:
        return False
    distinct = len(set(known))
    fractions = any(number != int(number) for number in known if number is not None)
    return distinct > 2 and (fractions or distinct > max(50, len(known) / 2))


def _as_numbers(labels: Sequence[str], numbers: Sequence[float | None]) -> Labels:
    wrong = [label for label, number in zip(labels, numbers, strict=True) if number is None]
    if wrong:
        raise UsageError(
            f"data.targets=numbers, but {plural(len(wrong), 'label')} "
            f"{agree(len(wrong), 'is', 'are')} no number, "
            f"the first '{wrong[0]}'."
        )
    remark = (
        "The labels are numbers (a regression target) and no classes; evaluations of classes "
        "cannot use them. --set data.targets=classes takes each number for a class."
    )
    targets = np.array(numbers, dtype=np.float32)[:, None]
    return Labels([""] * len(labels), targets, ("number",), (remark,))


def _as_several(labels: Sequence[str]) -> Labels:
    sets = [[name for name in map(str.strip, label.split("|")) if name] for label in labels]
    names = tuple(sorted({name for each in sets for name in each}))
    code = {name: number for number, name in enumerate(names)}
    targets = np.zeros((len(labels), len(names)), dtype=np.float32)
    for row, each in enumerate(sets):
        targets[row, [code[name] for name in each]] = 1
        if not labels[row]:
            targets[row] = np.nan
    several = sum(len(each) > 1 for each in sets)
    example = next((label for label, each in zip(labels, sets, strict=True) if len(each) > 1), "")
    none = sum(label != "" and not each for label, each in zip(labels, sets, strict=True))
    remark = (
        f"{plural(several, 'image')} {agree(several, 'has', 'have')} several labels"
        + (f", such as '{example}'" if example else "")
        + (f", and {none} have none of them" if none else "")
        + ". Evaluations with one label per image cannot use them: these images count as "
        "unlabeled. --set data.targets=classes takes each combination for a class."
    )
    return Labels([each[0] if len(each) == 1 else "" for each in sets], targets, names, (remark,))


def strata(index: Index) -> NDArray[np.int32]:
    """Returns what a split is stratified by, (n,), -1 where unlabeled.

    These are the classes; else fifths of the numbers, or the combinations of several classes, of
    which those of fewer than 10 images count as one.
    """
    if index.targets is None:
        return index.labels
    known = np.isfinite(index.targets).all(axis=1)
    if not known.any():
        return index.labels
    codes = np.full(len(index), -1, dtype=np.int32)
    if len(index.target_names) == 1:
        numbers = index.targets[known, 0]
        codes[known] = np.searchsorted(np.quantile(numbers, (0.2, 0.4, 0.6, 0.8)), numbers)
        return codes
    _, combinations, counts = np.unique(
        index.targets[known], axis=0, return_inverse=True, return_counts=True
    )
    codes[known] = np.where(counts[combinations] < 10, len(counts), combinations)
    return codes


def of_classes(
    index: Index, positions: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.int64]:
    """Returns those of some positions whose images are of one of the classes.

    Args:
        index: Of the dataset.
        positions: (n,) of the images that may be used.
        classes: Names of classes; all images are returned if there are none.

    Raises:
        UsageError: If there is no such class, or none of the images is of one.
    """
    if not classes:
        return positions
    known = index.classes if index.targets is None else ()
    if not known:
        raise UsageError(
            "data.classes chooses images by their class, and these images have no classes. Put "
            "them into class folders, or give --labels a CSV with the columns path and label."
        )
    if unknown := [name for name in classes if name not in known]:
        hint = did_you_mean(unknown[0], known)
        raise UsageError(
            f"data.classes: the images have no class '{unknown[0]}'. {hint}{' ' * bool(hint)}"
            f"They have {', '.join(known)}."
        )
    kept = positions[np.isin(index.labels[positions], [known.index(name) for name in classes])]
    if not len(kept):
        raise UsageError(
            f"No image of data.classes ({', '.join(classes)}) is outside of the test part. Name "
            "another class, or choose a smaller --holdout."
        )
    return kept


def of_share(index: Index, positions: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Returns those of some positions whose groups are drawn; a larger share holds a smaller one.

    Args:
        index: Of the dataset.
        positions: (n,) of the images that may be used.
        share: Of the groups, above 0 and up to 1; at least one group is drawn.
    """
    if share == 1:
        return positions
    groups = np.random.default_rng(0).permutation(np.unique(index.groups[positions]))
    kept = groups[: max(1, round(share * len(groups)))]
    return positions[np.isin(index.groups[positions], kept)]


def of_groups(
    index: Index, positions: NDArray[np.int64], groups: Sequence[int]
) -> NDArray[np.int64]:
    """Returns those of some positions whose images are of one of the groups.

    Args:
        index: Of the dataset.
        positions: (n,) of the images that may be used.
        groups: Numbers of groups; all images are returned if there are none.

    Raises:
        UsageError: If there is no such group, or none of the images is of one.
    """
    if not groups:
        return positions
    count = len(index.group_names)
    if max(groups) >= count:
        raise UsageError(
            f"data.groups: there is no group {max(groups)}; the {plural(count, 'group')} "
            f"{agree(count, 'has', 'have')} the numbers 0 to {count - 1}."
        )
    kept = positions[np.isin(index.groups[positions], list(groups))]
    if not len(kept):
        raise UsageError(
            f"No image of data.groups ({', '.join(map(str, groups))}) may be pre-trained on: they "
            "are in the test part, or too late. Name another group, choose a smaller --holdout, or "
            "a larger data.until."
        )
    return kept
