"""Tells patients and slides from the names of files, where no group is declared."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ssl_kit import Index

_BARCODES = re.compile(
    r"(?<![a-z0-9])("
    r"TCGA[-_.][a-z0-9]{2}[-_.][a-z0-9]{4}"
    r"|TARGET[-_.]\d{2}[-_.][a-z0-9]{6}"
    r"|C3[LN][-_.]\d{5}"  # CPTAC
    r"|GTEX[-_.](?=[a-z0-9]*\d)[a-z0-9]{4,5}"
    r"|(?:patient|subject|donor|pat|sub)[-_. ]?\d+(?=[-_ /]+[a-z0-9])"  # and more behind it
    r")(?![a-z0-9])",
    re.IGNORECASE,
)
_LAST_NUMBER = re.compile(r"(.*[^ _.,;()-])[ _.,;(-]+\d+\)?")
_HOW = (
    "If that is wrong, declare the groups: a labels.csv with the columns path and group, or "
    '--set data.layout="{group}/*" for folders.'
)


def group_by_names(
    index: Index,
    kind: str,
    slides: Sequence[str] | None = None,
    identifiers: Sequence[str] = (),
    are_placed: bool = False,
) -> Index:
    """Returns an index whose groups are patients, or slides, where names of files tell them.

    It does nothing where a group is declared. Barcodes of TCGA and similar archives, and names
    such as patient_12, tell patients.

    Args:
        index: Of the files, or of their pages.
        kind: What a file is called in remarks, in the plural.
        slides: Slide of each file that is a part of one, "" if its name tells none; None where
            files are slides.
        identifiers: Patient of each file according to its header, "" where it does not say. They
            come before the names, unless all are the same.
        are_placed: Whether names have rows and columns, each once on a slide.
    """
    files = [_file_of(index, i) for i in range(len(index))]
    if len(set(files)) < 2 or not all(files):
        return index
    index = _without_patients_as_classes(index)
    known = list(identifiers) if len(set(identifiers) - {""}) > 1 else [""] * len(files)
    groups = [patient or _patient_in(f) for patient, f in zip(known, files, strict=True)]
    patients = len({group for group in groups if group})
    rest = [i for i, group in enumerate(groups) if not group]
    parts = slides is not None
    named_slides = [slides[i] if slides else "" for i in rest]
    if _are_several(named_slides) and not _are_classes(index, rest, named_slides, are_placed):
        for i, slide in zip(rest, named_slides, strict=True):
            groups[i] = slide
    remarks = _remarks(kind, parts, files, groups, patients)
    same = [patient for patient in identifiers if patient]
    if len(same) > 1 and len(set(same)) == 1:
        remarks.append(f"{len(same)} {kind} have the same patient in their header; it is ignored.")
    named = [group or index.group(i) for i, group in enumerate(groups)]
    origins = {"group": f"patients or slides in names or headers of {kind}"}
    if _crosses_splits(index, named):
        remarks = [
            f"Names of {kind} tell patients or slides, some of which are in the test part and "
            "outside of it. The declared parts are kept; results on the test part may be too good."
        ]
        named, origins = [index.group(i) for i in range(len(index))], {}
    index = index.expand(
        np.arange(len(index)), groups=named, origins=origins if any(groups) else {}
    )
    return replace(index, remarks=(*index.remarks, *remarks))


def _file_of(index: Index, i: int) -> str:
    """Returns the file of an image without a declared group, "" if one is declared."""
    file, _, size = index.group(i).rpartition(":")  # a file without a group is its name and size
    return file if size.isdigit() and file and index.key(i).startswith(file) else ""


def _patient_in(path: str) -> str:
    """Returns the barcode of a patient in a path, the last one, in capitals; "" if none."""
    codes = _BARCODES.findall(path)
    return re.sub(r"[-_. ]", "-", codes[-1]).upper() if codes else ""


def _without_patients_as_classes(index: Index) -> Index:
    """Drops the classes if all of them are patients, because folders are named after them."""
    if len(index.classes) < 2 or not all(_patient_in(f"{name}/x") for name in index.classes):
        return index
    index = index.expand(np.arange(len(index)), labels=[""] * len(index))
    remark = "The folders are named after patients, and so they are groups and no classes."
    return replace(index, remarks=(*index.remarks, remark))


def _are_several(slides: Sequence[str]) -> bool:
    """Tells whether there are several slides, of several patches each on average."""
    counts = Counter(slide for slide in slides if slide)
    return len(counts) > 1 and sum(counts.values()) >= 2 * len(counts)


def _are_classes(
    index: Index, rows: Sequence[int], slides: Sequence[str], are_placed: bool
) -> bool:
    """Tells whether what was taken for slides are the classes: tumor_patch_1, fat_patch_1.

    Patches with rows and columns are of slides, unless the slides are called as the classes.
    """
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for i, slide in zip(rows, slides, strict=True):
        labels[index.label(i)].add(slide)
    of_class = [names for label, names in labels.items() if label]
    if not of_class or any(len(names) > 1 for names in of_class):
        return False
    called = (k.lower() in name.lower() for k, names in labels.items() if k for name in names)
    return not are_placed or any(called)


def _crosses_splits(index: Index, groups: Sequence[str]) -> bool:
    """Tells whether a group is in two declared parts."""
    parts = {(group, split) for group, split in zip(groups, index.splits.tolist(), strict=True)}
    return len(parts) > len(set(groups))


def _remarks(
    kind: str, parts: bool, files: Sequence[str], groups: Sequence[str], patients: int
) -> list[str]:
    """Says what the groups are. No name is in a remark, because it may tell who a patient is."""
    remarks = []
    slides = len({group for group in groups if group}) - patients
    if patients and len({f for f, group in zip(files, groups, strict=True) if group}) > patients:
        remarks.append(
            f"Names or headers of {kind} tell patients (by barcodes as those of TCGA), so that "
            f"the patients are groups, {patients} in all. {_HOW}"
        )
    if slides:
        remarks.append(
            f"Names of {kind} tell slides and positions, so that the slides are groups, {slides} "
            f"in all. {_HOW}"
        )
    alone = {file for file, group in zip(files, groups, strict=True) if not group}
    if len(alone) > 1:
        owners = "patients" if not parts else "patients or slides"
        several = "slides" if not parts else kind
        remarks.append(
            f"Each of {len(alone)} {kind} is a group of its own{_alike(alone)}. If {owners} have "
            f"several {several}, declare them: a labels.csv with the columns path and group."
        )
    return remarks


def _alike(files: set[str]) -> str:
    """Says how many names differ in their last number only."""
    stems = (re.sub(r"\.\w{1,5}$", "", file) for file in files)
    matches = Counter(match.group(1) for stem in stems if (match := _LAST_NUMBER.fullmatch(stem)))
    shared = [count for count in matches.values() if count > 1]
    if len(matches) < 2 or 2 * sum(shared) < len(files):
        return ""
    return f", although {sum(shared)} names differ only in their last number"
