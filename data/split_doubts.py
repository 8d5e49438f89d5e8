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
_WITHOUT = {
    "test": NOTHING_TESTED,
    "val": "No encoder, setting or length of training can be chosen by labels",
}


def declares_test(index: Index) -> bool:
    """Tells whether images are declared as the test part."""
    return bool((index.splits == SPLITS.index("test")).any())


def of_declaration(index: Index, holdout: float) -> list[str]:
    """Says that a declared part has no labels while others have, or makes `holdout` idle.

    Args:
        index: Of all images.
        holdout: Share of groups to hold out where no test part is declared.
    """
    labels = strata(index) >= 0
    remarks = [text for name in ("test", "val") if (text := _unlabeled(index, labels, name))]
    if declares_test(index) and holdout != DataConfig.model_fields["holdout"].default:
        remarks.append(f"--holdout {holdout:g} changes nothing, because a test part is declared.")
    return remarks


def _unlabeled(index: Index, labels: NDArray[np.bool_], name: str) -> str:
    """Says that the images of a declared part have no labels while others have; "" if they have."""
    part = index.splits == SPLITS.index(name)
    if not part.any() or labels[part].any() or not labels.any():
        return ""
    count, called = int(part.sum()), {"val": "validation"}.get(name, name)
    drawn = "--holdout then draws a test part from the labeled ones."
    if name == "val":
        drawn = "a validation part is then drawn from the labeled ones."
    return (
        f"{_WITHOUT[name]}: the {plural(count, 'image')} of the declared {called} part "
        f"{agree(count, 'has', 'have')} no label. "
        f"{_undeclared(index.origins.get('split', ''), name)}; {drawn}"
    )


def _undeclared(origin: str, name: str) -> str:
    """Says how a part that has no labels is left out.

    Args:
        origin: How the parts were found, in words.
        name: The part, as a table calls it.
    """
    if origin.startswith("column"):
        how = f"leave out '{name}' in the {origin}"
    elif origin.startswith("parts of"):
        how = "leave the part out by --set data.options.splits"
    elif origin:
        how = "give --data the folder of the other images alone"
    else:
        how = f"do not declare them as {name}"
    return f"Label these images, or {how}"


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
