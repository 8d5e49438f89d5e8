"""What makes results on a test part doubtful or impossible, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.index import SPLITS, Index
from .counting import agree, plural
from .opening import DataConfig
from .targets import strata

NOTHING_TESTED = "Nothing can be tested"


def declares_test(index: Index) -> bool:
    """Tells whether images are declared as the test part."""
    return bool((index.splits == SPLITS.index("test")).any())


def of_declaration(index: Index, holdout: float) -> list[str]:
    """Says that a declared test part has no labels while others have, or makes `holdout` idle.

    Args:
        index: Of all images.
        holdout: Share of groups to hold out where no test part is declared.
    """
    if not declares_test(index):
        return []
    test, labels, remarks = index.splits == SPLITS.index("test"), strata(index) >= 0, list[str]()
    if labels.any() and not labels[test].any():
        count = int(test.sum())
        remarks.append(
            f"{NOTHING_TESTED}: the {plural(count, 'image')} of the declared test part "
            f"{agree(count, 'has', 'have')} no label. {_undeclared(index.origins.get('split', ''))}"
        )
    if holdout != DataConfig.model_fields["holdout"].default:
        remarks.append(f"--holdout {holdout:g} changes nothing, because a test part is declared.")
    return remarks


def _undeclared(origin: str) -> str:
    """Says how a test part that has no labels is left out.

    Args:
        origin: How the parts were found, in words.
    """
    if origin.startswith("column"):
        how = f"leave out 'test' in the {origin}"
    elif origin.startswith("parts of"):
        how = "leave the part out by --set data.options.splits"
    elif origin:
        how = "give --data the folder of the other images alone"
    else:
        how = "do not declare them as test"
    return f"Label these images, or {how}; --holdout then draws a test part from the labeled ones."


def only_in_test(index: Index, test: NDArray[np.bool_]) -> list[str]:
    """Names the classes that are in a declared test part only, since they cannot be learned."""
    learned = set(index.labels[~test].tolist()) - {-1}
    lonely = sorted(set(index.labels[test].tolist()) - learned - {-1})
    if not lonely or not learned:
        return []
    count = int(np.isin(index.labels[test], lonely).sum())
    labeled = int((index.labels[test] >= 0).sum())
    return [
        f"{classes_are(index, lonely)} in the test part only and cannot be learned: at most "
        f"{labeled - count} of its {plural(labeled, 'image')} can be classified correctly."
    ]


def untested(index: Index, test: NDArray[np.bool_], holdout: float) -> list[str]:
    """Names the classes that are large enough to be tested, and are in no test group."""
    if not test.any():
        return []
    tested = set(index.labels[test].tolist())
    sizes = np.bincount(index.labels[index.labels >= 0], minlength=len(index.classes))
    least = max(2, round(1 / holdout)) if holdout else 1
    missing = [k for k, size in enumerate(sizes.tolist()) if size >= least and k not in tested]
    if not missing or not tested - {-1}:
        return []
    groups = plural(len(np.unique(index.groups[np.isin(index.labels, missing)])), "group")
    return [
        f"{classes_are(index, missing)} in {groups} and not in "
        "the test part, so that no result tells how well it is recognized."
    ]


def classes_are(index: Index, classes: Sequence[int]) -> str:
    """Begins a sentence on some classes: "The classes 'cat', 'dog' are"."""
    names = [f"'{index.classes[number]}'" for number in classes]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"The class {listed} is" if len(names) == 1 else f"The classes {listed} are"
