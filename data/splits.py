"""Train, validation and test parts that share no group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UsageError, did_you_mean
from ..core.index import SPLITS, Index
from .targets import strata

Positions = NDArray[np.int64]
_NOTHING = "Nothing is held out for testing"


@dataclass(frozen=True)
class Splits:
    """Positions of the images of each part.

    Unlabeled images are part of `train`, unless their group is part of `test`.

    Attributes:
        remarks: What could not be split, and why; one sentence each.
        warnings: Those of the remarks that make results doubtful or impossible.
    """

    train: Positions
    val: Positions
    test: Positions
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def outside_test(self) -> Positions:
        """Positions of the training and the validation part, sorted."""
        return np.sort(np.concatenate([self.train, self.val]))


def split(index: Index, holdout: float) -> Splits:
    """Splits a dataset: as declared where it declares a test part, else by group.

    Without a declaration, `holdout` of the groups, stratified by label, are the test part; without
    labels there is none. The validation part is a quarter of the labeled training groups. The
    result depends on the dataset and `holdout` only, so that pre-training and every evaluation
    agree on it.

    Raises:
        UsageError: If declared parts share a group.
    """
    everything = np.arange(len(index))
    test = index.splits == SPLITS.index("test")
    declared = bool(test.any())
    labels = strata(index)
    remarks: list[str] = []
    if not declared and holdout > 0:
        drawn, remarks = _draw(index, labels, labels >= 0, holdout)
        test = np.isin(index.groups, index.groups[drawn])  # with what is unlabeled of its groups
    val = (index.splits == SPLITS.index("val")) & ~test
    if not val.any():
        val, _ = _draw(index, labels, (labels >= 0) & ~test, 0.25)
    train = ~test & ~val
    doubts = [remark for remark in remarks if remark.startswith(_NOTHING)]
    doubts += [*_only_in_test(index, test), *_untested(index, test, holdout)]
    shared = np.intersect1d(index.groups[test], index.groups[~test])
    if len(shared):
        raise UsageError(
            f"{len(shared)} groups are in the test part and outside of it. Correct the split "
            "column, or leave it out to have groups kept together."
        )
    remarks += [doubt for doubt in doubts if doubt not in remarks]
    return Splits(
        everything[train], everything[val], everything[test], tuple(remarks), tuple(doubts)
    )


def _only_in_test(index: Index, test: NDArray[np.bool_]) -> list[str]:
    """Names the classes that are in a declared test part only, since they cannot be learned."""
    learned = set(index.labels[~test].tolist()) - {-1}
    lonely = sorted(set(index.labels[test].tolist()) - learned - {-1})
    if not lonely or not learned:
        return []
    count = int(np.isin(index.labels[test], lonely).sum())
    labeled = int((index.labels[test] >= 0).sum())
    return [
        f"{_named(index, lonely)} in the test part only and cannot be learned: at most "
        f"{labeled - count} of its {labeled} images can be classified correctly."
    ]


def _untested(index: Index, test: NDArray[np.bool_], holdout: float) -> list[str]:
    """Names the classes that are large enough to be tested, and are in no test group."""
    if not test.any():
        return []
    tested = set(index.labels[test].tolist())
    sizes = np.bincount(index.labels[index.labels >= 0], minlength=len(index.classes))
    least = max(2, round(1 / holdout)) if holdout else 1
    missing = [k for k, size in enumerate(sizes.tolist()) if size >= least and k not in tested]
    if not missing or not tested - {-1}:
        return []
    groups = len(np.unique(index.groups[np.isin(index.labels, missing)]))
    return [
        f"{_named(index, missing)} in {groups} {'group' if groups == 1 else 'groups'} and not in "
        "the test part, so that no result tells how well it is recognized."
    ]


def _named(index: Index, classes: Sequence[int]) -> str:
    names = [f"'{index.classes[number]}'" for number in classes]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"The class {listed} is" if len(names) == 1 else f"The classes {listed} are"


def _draw(
    index: Index, labels: NDArray[np.int32], among: NDArray[np.bool_], share: float
) -> tuple[NDArray[np.bool_], list[str]]:
    """Draws about `share` of the groups among some images, stratified by label.

    Classes with fewer images than folds are not drawn from; they stay where they are.

    Returns:
        (n,) whether each image is drawn, none if there are too few, and remarks on what is rare.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    drawn = np.zeros(len(index), dtype=bool)
    folds = max(2, round(1 / min(share, 1 - share)))
    sizes = np.bincount(labels[among], minlength=len(index.classes))
    rare = np.flatnonzero((sizes > 0) & (sizes < folds)).tolist()
    usual = int((sizes >= folds).sum())
    chosen = np.flatnonzero(among & ~np.isin(labels, rare))
    groups = index.groups[chosen]
    count = len(np.unique(groups))
    if not sizes.any():
        return drawn, []
    if usual < (2 if rare else 1) or count < folds:
        return drawn, [_why_nothing(index, sizes, count, folds)]
    splitter = StratifiedKFold if count == len(groups) else StratifiedGroupKFold  # slow at 10^6
    folded = splitter(n_splits=folds, shuffle=True, random_state=0).split(
        chosen, labels[chosen], None if count == len(groups) else groups
    )
    part = np.isin(np.arange(len(chosen)), next(iter(folded))[1])
    drawn[chosen[part if share <= 0.5 else ~part]] = True
    if not rare or index.targets is not None:
        return drawn, []
    return drawn, [
        f"{_named(index, rare)} too rare to be tested (fewer than {folds} images)"
        " and part of the training images."
    ]


def _why_nothing(index: Index, sizes: NDArray[np.int64], groups: int, folds: int) -> str:
    """Says why nothing is held out, and what to do.

    Args:
        index: Of the dataset.
        sizes: Number of images of each class.
        groups: Number of groups of the classes that are not rare.
        folds: Number of groups, and of images of each class, that are needed.
    """
    labeled = len(np.unique(index.groups[strata(index) >= 0]))
    if groups < folds and labeled < folds:
        lacking = f"{folds} groups are needed, and the labeled images have {labeled}"
        enough = labeled
    else:
        rare = np.flatnonzero((sizes > 0) & (sizes < folds)).tolist()
        counts = f" ({', '.join(str(sizes[k]) for k in rare[:5])})" if index.targets is None else ""
        names = ", ".join(f"'{index.classes[k]}'" for k in rare[:5]) if counts else "the labels"
        lacking = (
            f"a class needs {folds} images to be tested, and {names} "
            f"{'has' if len(rare) == 1 else 'have'} fewer{counts}"
        )
        enough = int(min(labeled, np.sort(sizes[sizes > 0])[-2:].min()))
    larger = f"--holdout {1 / enough:.2g} needs {enough} of them, and " if enough > 1 else ""
    return (
        f"{_NOTHING}: {lacking}. {larger}"
        f"{'t' if larger else 'T'}he evaluation 'leave_one_out' tests each group in turn (give "
        "--allow-overlap if the run was pre-trained on them)."
    )


def of_classes(index: Index, positions: Positions, classes: Sequence[str]) -> Positions:
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


def labeled_parts(index: Index, splits: Splits) -> Splits:
    """Returns the images with a class of each part.

    Raises:
        UsageError: If an evaluation of classes cannot learn from them and test on them.
    """
    train, val, test = (p[index.labels[p] >= 0] for p in (splits.train, splits.val, splits.test))
    if not len(train) or not len(test):
        raise UsageError(_why_no_evaluation(index, splits))
    if len(np.unique(index.labels[np.concatenate([train, val])])) < 2:
        raise UsageError("An evaluation needs labels of at least two classes to learn from.")
    return Splits(train, val, test)


def _why_no_evaluation(index: Index, splits: Splits) -> str:
    if not (index.labels >= 0).any() and index.targets is not None:
        kind = "numbers" if len(index.target_names) == 1 else "several classes an image"
        return (
            f"The labels are {kind}, and this evaluation takes one class an image. --set "
            "data.targets=classes takes each of them for a class."
        )
    if not (index.labels >= 0).any():
        return (
            "An evaluation needs labeled images. Put them into class folders, or give --labels a "
            "CSV with the columns path and label."
        )
    nothing = next((remark for remark in splits.remarks if remark.startswith(_NOTHING)), "")
    return nothing or (
        "An evaluation needs labeled images to learn from and to test on, and one of the two "
        "parts has none. Declare them with the column split of --labels, or choose --holdout."
    )
