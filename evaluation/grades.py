"""Ordered classes: grades of a disease, stages, ratings; and in which order they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..core.config import Config
from ..core.errors import UsageError, did_you_mean
from ..data.counting import agree

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_ROMAN = re.compile(r"(?=[IVX])X?(?:IX|IV|V?I{0,3})")
_VALUES = {"I": 1, "V": 5, "X": 10}


class GradesConfig(Config):
    """Options of evaluations of classes: which one is positive, and whether they are ordered."""

    positive: Annotated[
        str,
        Field(
            description="name of the positive one of two classes, which sensitivity, specificity, "
            "AUROC and AUPRC refer to; by default the one with fewer training images, of grades "
            "the highest"
        ),
    ] = ""

    sensitivity: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="lowest sensitivity on the validation images, which sets the threshold of "
            "two classes; by default the sum of sensitivity and specificity is the largest there",
        ),
    ] = None

    ordinal: Annotated[
        bool,
        Field(
            description="classes are ordered grades: the quadratic kappa, which then decides, and "
            "the mean absolute error are added"
        ),
    ] = False
    classes_order: Annotated[
        tuple[str, ...],
        Field(
            description="names of all classes from the lowest to the highest grade, which makes "
            "them ordinal; by default grades have the order of the numbers in their names"
        ),
    ] = ()

    def check(self, classes: Sequence[str], threshold: bool = True) -> None:
        """Refuses options that do not fit to the classes; see `order` and `positive_class`.

        Args:
            classes: Their names.
            threshold: Whether the evaluation chooses a threshold on validation images.

        Raises:
            UsageError: If they do not.
        """
        self.order(classes)
        self.positive_class(classes)
        if self.sensitivity is not None and not (threshold and len(classes) == 2):
            reason = (
                f"the images have {len(classes)} classes" if threshold else "none is chosen here"
            )
            raise UsageError(
                f"sensitivity={self.sensitivity:g} sets the threshold between two classes on "
                f"validation images, and {reason}. Leave it out."
            )

    def idle(self) -> Iterator[str]:
        """Yields a sentence on each option that was set and changes nothing beside others."""
        yield from ()

    def unused(self, names: Sequence[str], reason: str) -> Iterator[str]:
        """Yields a sentence on those of some options that are not at their defaults."""
        fields = type(self).model_fields
        found = [name for name in names if getattr(self, name) != fields[name].default]
        if found:
            listed = " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
            yield (
                f"{listed} {agree(len(found), 'changes', 'change')} nothing, because {reason}. "
                f"Leave {agree(len(found), 'it', 'them')} out."
            )

    def order(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Returns the classes from the lowest to the highest grade; () if they are not ordered.

        Args:
            classes: Their names.

        Raises:
            UsageError: If the order is not known, or the one that was given has other names.
        """
        if not (self.ordinal or self.classes_order):
            return ()
        if self.classes_order and sorted(self.classes_order) != sorted(classes):
            raise UsageError(
                f"classes_order has the classes {', '.join(self.classes_order)}, but the images "
                f"have {', '.join(classes)}. Name each of these once, the lowest grade first."
            )
        return self.classes_order or order_of_names(classes)

    def positive_class(self, classes: Sequence[str], rarest: str = "") -> str:
        """Returns the positive one of two classes; "" if there are more, or fewer.

        Args:
            classes: Their names.
            rarest: The class with fewer training images, which is positive unless `positive` is
                set or the classes are ordered.

        Raises:
            UsageError: If `positive` is set to what is none of two classes.
        """
        if self.positive and (len(classes) != 2 or self.positive not in classes):
            meant = did_you_mean(self.positive, classes) if len(classes) == 2 else ""
            raise UsageError(
                f"positive='{self.positive}' is not the name of one of two classes. The images "
                f"have the classes {', '.join(classes)}. {meant}".rstrip()
            )
        if len(classes) != 2 or self.positive:
            return self.positive
        order = self.order(classes)
        return order[-1] if order else rarest


def in_order(
    order: Sequence[str], classes: Sequence[str], labels: NDArray[Any], predictions: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Renumbers classes from the lowest to the highest grade.

    Args:
        order: Class names in the new order.
        classes: Class names in the present order.
        labels: (n,) class numbers.
        predictions: (n, K) probabilities, or (n,) class numbers.

    Returns:
        The labels and the predictions with the new numbers.
    """
    grade = np.array([list(order).index(name) for name in classes])
    if np.ndim(predictions) == 1:
        return grade[labels], grade[predictions]
    return grade[labels], predictions[:, np.argsort(grade)]


def order_of_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Orders classes by the numbers in their names: 0, 1, 2; grade0, grade10; KL 2; I, II, III.

    Of several numbers in each name, the one that differs counts.

    Args:
        classes: Names.

    Raises:
        UsageError: If no order, or more than one, can be told from the names.
    """
    for numbers in (_plain, _written, _roman):
        values = [tuple(numbers(name)) for name in classes]
        columns = list(zip(*values, strict=True)) if len({len(v) for v in values}) == 1 else []
        differing = [column for column in columns if len(set(column)) > 1]
        if len(differing) == 1 and len(set(differing[0])) == len(classes):
            return tuple(name for _, name in sorted(zip(differing[0], classes, strict=True)))
    example = '", "'.join(classes[:2])
    raise UsageError(
        f"The order of the classes {', '.join(classes)} cannot be told from numbers in their "
        f"names. Name all of them from the lowest grade to the highest by an option of the "
        f'evaluation, as in --set \'linear.classes_order=["{example}"'
        f"{', ...' if len(classes) > 2 else ''}]'."
    )


def _plain(name: str) -> Iterator[float]:
    """Yields the number that a name is, which may be negative."""
    if re.fullmatch(r"\s*[-+]?\d+(?:[.,]\d+)?\s*", name):
        yield float(name.replace(",", "."))


def _written(name: str) -> Iterator[float]:
    """Yields the numbers in a name."""
    for digits in _NUMBER.findall(name):
        yield float(digits.replace(",", "."))


def _roman(name: str) -> Iterator[float]:
    """Yields the Roman numerals up to 18 that are words of a name, and its numbers."""
    for word in re.split(r"[\W_]+", name):
        if word and _ROMAN.fullmatch(word.upper()):
            values = [_VALUES[letter] for letter in word.upper()]
            yield sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))
        else:
            yield from _written(word)
