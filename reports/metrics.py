"""What a reader must know about a metric: its unit, which way is good, the order of grades."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..data.counting import plural

_LOWER_IS_BETTER = (
    *("ece", "mean_cosine", "alignment", "uniformity"),
    *("character_error_rate", "word_error_rate"),
)
_AT_THRESHOLD = ("sensitivity", "specificity")
_IN_GRADES = "mean_absolute_error"


def _kind(metric: str) -> str:
    """Returns the name of a metric without what it was measured on: "ece@10", "ece_per_group"."""
    return re.sub(r"@.*|_per_group$|_of_others$", "", metric)


def is_share(metric: str) -> bool:
    """Tells whether a metric of a classification is printed in percent."""
    return _kind(metric) != _IN_GRADES


def direction(metric: str) -> str:
    """Returns the remark behind the name of a metric for which lower is better; else ""."""
    if not is_share(metric):
        return " (in grades, lower is better)"
    return " (lower is better)" if _kind(metric) in _LOWER_IS_BETTER else ""


def at_threshold(metric: str) -> str:
    """Returns the remark behind a metric that has a threshold of its own; else ""."""
    return " (at its own threshold)" if _kind(metric) in _AT_THRESHOLD else ""


def labels_bought(metric: str, labels: object) -> str:
    """Returns the remark behind a metric at a label budget, "accuracy@1%": " (4 labels)"; else "".

    Args:
        metric: Its name.
        labels: Mean number of labels by budget, as `few_labels` keeps it; anything else otherwise.
    """
    number = labels.get(metric.partition("@")[2]) if isinstance(labels, Mapping) else None
    return "" if number is None else f" ({plural(round(number), 'label')})"


def order_of_grades(grades: Sequence[str]) -> str:
    """Says in which order the classes are, as a sentence; "" if they have none."""
    return f"The classes are ordered grades: {' < '.join(grades)}." if grades else ""
