"""Train, validation and test parts that share no group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UsageError
from ..core.index import SPLITS, Index
from .counting import agree, plural
from .split_doubts import (
    NOTHING_TESTED,
    classes_are,
    declares_test,
    of_declaration,
    only_in_test,
    untested,
)
from .targets import strata

Positions = NDArray[np.int64]
_NOTHING = "Nothing is held out for testing"
_UNTESTED = (_NOTHING, NOTHING_TESTED)


@dataclass(frozen=True)
class Splits:
    """Positions of the images of each part.

    An unlabeled image is in the part of its group; `train` has those of groups without labels.

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
    labels there is none. The validation part is as declared, else a quarter of the labeled training
    groups, with all their images. The result depends on the dataset and `holdout` only, so that
    pre-training and every evaluation agree on it.

    Raises:
        UsageError: If declared parts share a group.
    """
    everything = np.arange(len(index))
    test = index.splits == SPLITS.index("test")
    labels = strata(index)
    remarks = of_declaration(index, holdout)
    if not test.any() and holdout > 0:
        drawn, rare = _draw(index, labels, labels >= 0, holdout)
        remarks += _lacking(index, drawn, rare, _folds(holdout))
        test = np.isin(index.groups, index.groups[drawn])  # with what is unlabeled of its groups
    val = (index.splits == SPLITS.index("val")) & ~test
    if not val.any():
        val = _validation(index, labels, (labels >= 0) & ~test)
    train = ~test & ~val
    doubts = [remark for remark in remarks if remark.startswith(_UNTESTED)]
    doubts += [*only_in_test(index, test), *untested(index, test, holdout)]
    _refuse_shared(index, "test", test)
    _refuse_shared(index, "validation", val)
    remarks += [doubt for doubt in doubts if doubt not in remarks]
    return Splits(
        everything[train], everything[val], everything[test], tuple(remarks), tuple(doubts)
    )


def _validation(
    index: Index, labels: NDArray[np.int32], among: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Draws the validation part, (n,): whole groups, with what is unlabeled or rare in them.

    Of a rare class that would be in these groups only, a group is left to learn from.
    """
    drawn, rare = _draw(index, labels, among, 0.25)
    val = np.isin(index.groups, index.groups[drawn])
    for number in set(rare) - set(labels[among & ~val].tolist()):
        val &= index.groups != index.groups[among & (labels == number)][0]
    return val


def _refuse_shared(index: Index, name: str, part: NDArray[np.bool_]) -> None:
    shared = np.intersect1d(index.groups[part], index.groups[~part])
    if len(shared):
        raise UsageError(
            f"{plural(len(shared), 'group')} {agree(len(shared), 'is', 'are')} in the {name} part "
            "and outside of it. Correct the split column, or leave it out to have groups kept "
            "together."
        )


def holdout_for(index: Index, groups: int) -> float | None:
    """Returns a share that holds out some number of groups and leaves two classes to learn.

    Returns:
        The smallest of 0.2, 0.25, 0.33, 0.5, 0.67 and 0.75 that does; None if none does.
    """
    labels = strata(index)
    for share in (0.2, 0.25, 0.33, 0.5, 0.67, 0.75):
        drawn, _ = _draw(index, labels, labels >= 0, share)
        enough = len(np.unique(index.groups[drawn])) >= groups
        if enough and len(np.unique(labels[~drawn & (labels >= 0)])) > 1:
            return share
    return None


def more_groups(index: Index, least: int) -> str:
    """Says how the test part gets some number of groups."""
    if declares_test(index):
        return "Declare more groups as test."
    share = holdout_for(index, least)
    if share:
        return f"Choose --holdout {share:g}, or declare more, smaller groups."
    labeled = len(np.unique(index.groups[strata(index) >= 0]))
    in_turn = labeled >= least and index.targets is None and can_leave_one_out(index)
    advice = f"the evaluation 'leave_one_out' tests each of the {labeled} groups in turn"
    return f"No --holdout gives so many: {advice if in_turn else 'label more groups'}."


def origins_of(index: Index) -> dict[str, str]:
    """Returns how labels, groups and the test part were found, in words.

    "split" is left out where no test images are declared, since they are drawn then.
    """
    drawn = not declares_test(index)
    return {kind: how for kind, how in index.origins.items() if kind != "split" or not drawn}


def can_leave_one_out(index: Index, left_out: Positions | None = None) -> bool:
    """Tells whether two classes remain to learn from when any one group is left out.

    Args:
        index: Of the dataset.
        left_out: Images whose groups are left out in turn; None for all.
    """
    labeled = index.labels >= 0
    pairs = np.unique(np.stack([index.labels[labeled], index.groups[labeled]]), axis=1)
    classes, where, counts = np.unique(pairs[0], return_inverse=True, return_counts=True)
    alone = counts[where] == 1  # classes that are in a single group
    if left_out is not None:
        alone &= np.isin(pairs[1], index.groups[left_out])
    _, lost = np.unique(pairs[1][alone], return_counts=True)
    return len(np.unique(pairs[1])) > 1 and len(classes) - int(lost.max(initial=0)) > 1


def _folds(share: float) -> int:
    return max(2, round(1 / min(share, 1 - share)))


def _draw(
    index: Index, labels: NDArray[np.int32], among: NDArray[np.bool_], share: float
) -> tuple[NDArray[np.bool_], list[int]]:
    """Draws about `share` of the groups among some images, stratified by label.

    Classes with fewer images than folds are not drawn from; they stay where they are. A part of one
    group, which has no interval, is drawn only if there is no other.

    Returns:
        (n,) whether each image is drawn, none if there are too few, and the classes that are rare.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    drawn = np.zeros(len(index), dtype=bool)
    folds = _folds(share)
    sizes = np.bincount(labels[among], minlength=len(index.classes))
    rare = np.flatnonzero((sizes > 0) & (sizes < folds)).tolist()
    usual = int((sizes >= folds).sum())
    chosen = np.flatnonzero(among & ~np.isin(labels, rare))
    groups = index.groups[chosen]
    count = len(np.unique(groups))
    if usual < (2 if rare else 1) or count < folds:
        return drawn, rare
    splitter = StratifiedKFold if count == len(groups) else StratifiedGroupKFold  # slow at 10^6
    folded = splitter(n_splits=folds, shuffle=True, random_state=0).split(
        chosen, labels[chosen], None if count == len(groups) else groups
    )
    parts = [few if share <= 0.5 else rest for rest, few in folded]
    several = (part for part in parts if len(np.unique(groups[part])) > 1)
    drawn[chosen[next(several, parts[0])]] = True
    return drawn, rare


def _lacking(index: Index, drawn: NDArray[np.bool_], rare: Sequence[int], folds: int) -> list[str]:
    """Says which classes are too rare to be tested, or why nothing is held out and what to do."""
    labels = strata(index)
    if drawn.any() and rare and index.targets is None:
        return [
            f"{classes_are(index, rare)} too rare to be tested (fewer than {folds} images)"
            " and part of the training images."
        ]
    if drawn.any() or not (labels >= 0).any():
        return []
    groups = len(np.unique(index.groups[labels >= 0]))
    if groups < folds:
        lacking = f"{folds} groups are needed, and the labeled images have {groups}"
    else:
        sizes = np.bincount(labels[labels >= 0])
        counts = f" ({', '.join(str(sizes[k]) for k in rare[:5])})" if index.targets is None else ""
        names = ", ".join(f"'{index.classes[k]}'" for k in rare[:5]) if counts else "the labels"
        lacking = (
            f"a class needs {folds} images to be tested, and {names} "
            f"{'has' if len(rare) == 1 else 'have'} fewer{counts}"
        )
    return [f"{_NOTHING}: {lacking}. {_advice(index, groups)}"]


def _advice(index: Index, groups: int) -> str:
    """Says what tests the labels of these groups; each share is tried before it is advised."""
    shares = (0.25, 0.33, 0.5)
    share = holdout_for(index, 1)
    larger = f"--holdout {share:g} needs {_folds(share)} of them" if share in shares else ""
    in_turn = (
        "the evaluation 'leave_one_out' tests each group in turn (give --allow-overlap if the run "
        "was pre-trained on them)"
    )
    if index.targets is None and can_leave_one_out(index):
        advice = f"{larger}, and {in_turn}." if larger else f"{in_turn}."
        return advice[:1].upper() + advice[1:]
    if larger:
        return f"{larger}."
    return (
        f"{'So few groups' if groups > 1 else 'One group'} cannot be tested: two classes are "
        "needed that are each in two groups or more, one to learn from and one to test on. Label "
        "more groups; pre-training, 'ssl-kit embed' and the evaluation 'spectrum' need no labels."
    )


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
    tested = index.labels[index.splits == SPLITS.index("test")] >= 0
    if tested.any() and tested.sum() == (index.labels >= 0).sum():
        return (
            "An evaluation needs labeled images to learn from, and those of the declared test part "
            "alone have labels. Declare some of them as train, or add labels of other images."
        )
    nothing = next((remark for remark in splits.remarks if remark.startswith(_UNTESTED)), "")
    return nothing or (
        "An evaluation needs labeled images to learn from and to test on, and one of the two "
        "parts has none. Declare them with the column split of --labels, or choose --holdout."
    )
