"""What a label says: nothing, one class, several classes, or a number."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .counting import agree, plural

_MISSING = {"", "nan", "na", "n/a", "n.a.", "#n/a", "null", "<na>", "?", "-", "--", "."}
_PLUS = re.compile(r"[1-9]?\++")  # +, ++ and 2+ are grades
_NEGATIVE = {"0", "0+", "neg", "neg.", "negative"}
_LIST = re.compile(r"""[\[({]\s*['"]?(.*?)['"]?\s*[\])}]""")
_JOINED = re.compile(r"""\s*['"]?\s*[,;/+& ]\s*['"]?\s*""")


def is_missing(value: str) -> bool:
    """Tells whether a value is missing. Python writes None; a class may be called none."""
    return value == "None" or value.lower() in _MISSING


def without_missing(
    values: Sequence[str], kind: str = "label", unit: str = "row"
) -> tuple[list[str], list[str]]:
    """Returns values with "" for missing ones, and remarks on those that are written out.

    A label of minus signs is a class if others consist of plus signs, since -, + and ++ are grades,
    and no other label means negative.

    Args:
        values: Labels, groups or splits.
        kind: What they are: "label", "group" or "split".
        unit: What has one of them, for the remarks.
    """
    counts = Counter(value for value in values if value and is_missing(value))
    signs = _negative_signs(set(values)) if kind == "label" else set[str]()
    known = ["" if value in counts and value not in signs else value for value in values]
    remarks = [_of_signs(counts[sign], sign, unit) for sign in sorted(signs)]
    spellings = [spelling for spelling in counts if spelling not in signs]
    if spellings:
        remarks.append(_of_missing({s: counts[s] for s in spellings}, kind, unit))
    return known, remarks


def _negative_signs(values: set[str]) -> set[str]:
    """Returns the labels of minus signs that are a class."""
    graded = any(_PLUS.fullmatch(value) for value in values)
    named = any(value.lower() in _NEGATIVE for value in values)
    return {value for value in values if set(value) == {"-"}} if graded and not named else set()


def _of_signs(count: int, sign: str, unit: str) -> str:
    return (
        f"{plural(count, unit)} {agree(count, 'has', 'have')} the label '{sign}', which counts as "
        "a class beside labels of plus signs. Leave the label empty if it means a missing one."
    )


def _of_missing(counts: Mapping[str, int], kind: str, unit: str) -> str:
    listed = [
        f"{plural(count, unit)} {agree(count, 'has', 'have')} the {kind} '{spelling}'"
        for spelling, count in counts.items()
    ]
    name = "class" if kind == "label" else kind
    advice = agree(
        len(listed),
        f" Give it another name if it is a {name}.",
        f" Give what is a {name} another name.",
    )
    return (
        f"{', '.join(listed)}, which {agree(len(listed), 'is', 'are')} taken for missing."
        f"{'' if kind == 'split' else advice}"
    )


def joined_by_bars(labels: Sequence[str]) -> list[str]:
    """Returns labels in which several classes of an image are joined by a bar: "cat|dog".

    "cat;dog", "cat, dog" and "['cat', 'dog']" mean several classes if each of them is the only
    label of another image.
    """
    plain = [match[1] if (match := _LIST.fullmatch(label)) else label for label in labels]
    single = set(plain)

    def form(label: str) -> str:
        parts = _JOINED.split(label)
        several = len(parts) > 1 and single.issuperset(parts) and "" not in parts
        return "|".join(parts) if several else label

    forms = {label: form(label) for label in single}
    return [forms[label] for label in plain]


def spelled_alike(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Returns classes that differ in capitals, blanks, hyphens or leading zeros only."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels) - {""}):
        form = re.sub(r"[\s_-]+", " ", label.casefold())
        alike[str(float(form)) if re.fullmatch(r"\d+(\.0+)?", form) else form].append(label)
    return [tuple(names) for names in alike.values() if len(names) > 1]
