"""Labels, groups and splits from the folders that files lie in."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace

from ..core.errors import UsageError
from .counting import agree, plural

_SPLITS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "develop", "development"), "val"),
    **dict.fromkeys(("eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), "test"),
}
NAMES_OF_FOLDERS = "names of folders"
"""What `Labeling.origins` says of what folders tell."""
_FOLDERS = dict.fromkeys(("label", "group", "split"), NAMES_OF_FOLDERS)
_FILLERS = r"(set|sets|data|dataset|split|part|images?|imgs?|pictures|samples)"


def split_named(text: str) -> str:
    """Returns train, val or test if a text names this part, such as "Training Set"; else ""."""
    plain = re.sub(r"[\s_-]+", "", text.lower())
    plain = _SPLITS.get(plain, plain)
    for pattern in (rf"{_FILLERS}+$", rf"^{_FILLERS}+"):
        plain = _SPLITS.get(plain) or re.sub(pattern, "", plain)
    return _SPLITS.get(plain, "")


def tells_nothing(folders: Iterable[str]) -> bool:
    """Tells whether folders are called images, data or the like, which tells no files apart."""
    return all(
        re.fullmatch(_FILLERS + "+", re.sub(r"[\s_.-]+", "", f.lower()) or "data") for f in folders
    )


@dataclass(frozen=True)
class Row:
    """What is declared of one file; "" where nothing is."""

    label: str = ""
    group: str = ""
    split: str = ""


@dataclass(frozen=True)
class Part:
    """Label of the part of a file at x and y, as they were written in a line of the table."""

    key: str
    line: int
    x: str
    y: str
    label: str


@dataclass(frozen=True)
class Labeling:
    """What is declared of all files.

    Attributes:
        rows: By key of the file.
        remarks: What was assumed, one sentence each.
        parts: Labels of parts of files.
        origins: How "label", "group" and "split" were found, in words.
    """

    rows: Mapping[str, Row]
    remarks: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    def over(self, other: Labeling) -> Labeling:
        """Adds what another labeling declares where this one declares nothing."""
        rows = dict(other.rows)
        for key, row in self.rows.items():
            below = rows.get(key, Row())
            rows[key] = Row(*(a or b for a, b in zip(astuple(row), astuple(below), strict=True)))
        origins = {**other.origins, **self.origins}
        return Labeling(rows, (*self.remarks, *other.remarks), self.parts, origins)


def from_folders(keys: Sequence[str]) -> Labeling:
    """Tells splits, groups and classes from folders.

    `train/cat/1.png` and `cat/1.png` have the class cat. Where the folders of the first level
    contain the same names, as `patient1/normal/1.png`, they are groups, and the folders below
    them classes. One folder, or loose files, is no labeling.
    """
    below = _without_common([_folders(key) for key in keys])
    splits = [split_named(folders[0]) if folders else "" for folders in below]
    below = [folders[bool(split) :] for folders, split in zip(below, splits, strict=True)]
    if not any(splits) and all(len(folders) > 1 and split_named(folders[1]) for folders in below):
        splits = [split_named(folders[1]) for folders in below]  # cat/train/1.png
    groups, remarks = _first_level_groups(below)
    rows = [
        Row("".join(folders[groups : groups + 1]), folders[0] if groups else "", split)
        for folders, split in zip(below, splits, strict=True)
    ]
    loose = sum(not row.label for row in rows)
    if len({row.label for row in rows} - {""}) < 2 or 2 * loose > len(rows):
        rows = [replace(row, label="") for row in rows]
    else:
        remarks = (*remarks, *_loose(loose), *(() if groups or remarks else _deeper(below)))
    return Labeling(dict(zip(keys, rows, strict=True)), remarks, origins=_FOLDERS)


def _without_common(paths: list[list[str]]) -> list[list[str]]:
    """Leaves out the outer folders that all files are in, unless they name a part."""
    while paths and paths[0] and not split_named(paths[0][0]):
        if any(path[:1] != paths[0][:1] for path in paths):
            break
        paths = [path[1:] for path in paths]
    return paths


def _loose(count: int) -> tuple[str, ...]:
    text = (
        f"{plural(count, 'file')} {agree(count, 'lies', 'lie')} in no class folder, without a "
        "label."
    )
    return (text,) if count else ()


def _deeper(below: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Says that folders below the classes are not taken for groups."""
    members = Counter((folders[0], folders[1]) for folders in below if len(folders) > 1)
    classes = {folder for folder, _ in members}
    if len(members) <= len(classes) or members.total() < len(below) or min(members.values()) < 2:
        return ()
    if all(split_named(folder) for _, folder in members):
        return ()
    return (
        "The folders below the classes are not taken for groups. Say --layout "
        '"{label}/{group}/*" if each of them is one patient, place or recording.',
    )


def _folders(key: str) -> list[str]:
    return key.split("/")[:-1]


def _first_level_groups(below: Sequence[Sequence[str]]) -> tuple[bool, tuple[str, ...]]:
    """Tells whether the first level of folders is groups, since what is below repeats."""
    children: defaultdict[str, set[str]] = defaultdict(set)
    for folders in below:
        if len(folders) < 2:
            return False, ()
        children[folders[0]].add(folders[1])
    sets = list(children.values())
    names = set.union(*sets) if sets else set()
    if len(sets) < 2 or len(names) < 2:
        return False, ()
    shared = Counter(name for each in sets for name in each)
    if not all(len(each) > 1 for each in sets) and min(shared.values()) < 2:
        return False, ()
    if min(shared.values()) < 2 or len(names) >= len(below) / 2:
        return False, ()
    if all(map(split_named, names)):  # cat/train/1.png
        return False, ()
    if len(sets) <= len(names):  # as many classes as groups: malignant/40X/1.png
        return False, (
            f"The {len(sets)} folders of the first level are taken for classes, although they "
            f"contain folders of the same names ({', '.join(sorted(names)[:4])}). Say --layout "
            '"{group}/{label}/*" if those are the classes, or "{label}/{group}/*" if they are '
            "groups.",
        )
    return True, (
        f"The {len(sets)} folders of the first level contain folders of the same names "
        f"({', '.join(sorted(names)[:4])}), so they are taken for groups and those below for "
        'classes. Say --layout "{label}/*/*" if the first level is the classes.',
    )


def from_layout(keys: Sequence[str], layout: str) -> Labeling:
    """Reads splits, groups and classes by a pattern such as "{group}/{label}/*".

    Args:
        keys: Of the files.
        layout: Folders from the first on; `*` is any name, and what follows the last part of the
            pattern is not looked at.

    Raises:
        UsageError: If the pattern names something else, or fits no file.
    """
    match = _matcher(layout)
    rows: dict[str, Row] = {}
    strange: list[str] = []
    for key in keys:
        parts = match(key)
        if parts is not None:
            named = parts.get("split", "")
            split = split_named(named)
            strange += [named] * (named != "" and not split)
            rows[key] = Row(parts.get("label", ""), parts.get("group", ""), split)
    if not rows:
        raise UsageError(f"--layout '{layout}' fits no file, such as '{keys[0]}'.")
    if strange:
        raise UsageError(
            f"--layout '{layout}' takes '{strange[0]}' for a split, but a split is train, val or "
            "test."
        )
    unmatched = len(keys) - len(rows)
    remarks = (
        f"{plural(unmatched, 'file')} {agree(unmatched, 'does', 'do')} not fit --layout '{layout}' "
        "and so no label is known.",
    )
    origins = dict.fromkeys(_FIELD.findall(layout), f"--layout {layout}")
    return Labeling(rows, remarks if unmatched else (), origins=origins)


_FIELD = re.compile(r"\{(\w*)\}")


def _matcher(layout: str) -> Callable[[str], dict[str, str] | None]:
    names = _FIELD.findall(layout)
    wrong = sorted(set(names) - {"split", "group", "label"})
    if wrong or not names or len(set(names)) < len(names):
        raise UsageError(
            "--layout takes {split}, {group} and {label}, each once, and *, such as "
            f"'{{group}}/{{label}}/*', not '{layout}'."
        )
    pattern = re.escape(layout.strip("/")).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    expression = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern))

    def match(key: str) -> dict[str, str] | None:
        fitted = expression.match(key)
        if fitted and fitted.end() == len(key):  # the ending of a file is no part of its class
            fitted = expression.match(re.sub(r"(\.nii)?\.\w+$", "", key)) or fitted
        return fitted.groupdict() if fitted else None

    return match
