"""What a label says: nothing, one class, several classes, or a number."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

_MISSING = {"", "nan", "na", "n/a", "n.a.", "#n/a", "null", "<na>", "?", "-", "--", "."}
_LIST = re.compile(r"""[\[({]\s*['"]?(.*?)['"]?\s*[\])}]""")
_JOINED = re.compile(r"""\s*['"]?\s*[,;/+& ]\s*['"]?\s*""")


def is_missing(value: str) -> bool:
    """Tells whether a value is missing. Python writes None; a class may be called none."""
    return value == "None" or value.lower() in _MISSING


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
