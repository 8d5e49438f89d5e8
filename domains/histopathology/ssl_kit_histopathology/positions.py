"""Reads the slide and the position of patches from the names of their files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ssl_kit import Index

Ints = NDArray[np.int64]
Match = re.Match[str] | None

_GAP = r"[ _.,;-]*"
_DOWN, _RIGHT = rf"(?:row|r|y|top){_GAP}=?(\d+)", rf"(?:column|col|c|x|left){_GAP}=?(\d+)"
_START = r"(?:(.*?[a-z0-9)\]])?[ _.,;-]+|)"
_NAMED = tuple(
    (re.compile(rf"{pattern}(?![a-z]).*", re.IGNORECASE), rows_first)
    for pattern, rows_first in (
        (r"(.*?[a-z0-9)\]])?[ _.,;-]*\[(?:[^\]]*,)?x=(-?\d+),y=(-?\d+)[^\]]*\]", False),  # QuPath
        (rf"{_START}\(?{_DOWN}{_GAP}{_RIGHT}", True),
        (rf"{_START}\(?{_RIGHT}{_GAP}{_DOWN}", False),
    )
)
_PAIR = re.compile(r"(?:(.*[^ _.,;()-])[ _.,;-]*[ _.,;(-])?\(?(\d+)[ _.,;-]+(\d+)\)?")
_COUNTED = re.compile(
    rf"{_START}(?:tile|patch)(?:[ _-]?(?:no|nr|id|idx))?[ _-]?\d+(?![a-z]).*", re.IGNORECASE
)
_MOST = 0.8  # share of the names that must have a position
_REPEATED = 0.75  # in a grid, ratio of different rows, or columns, to tiles; it is lower
_STEP, _FAR = 16, 100  # pixels between positions, and largest position, that tell a grid of pixels
_APART = 2  # rows from the last patch of a slide to the first of the next


@dataclass(frozen=True)
class Names:
    """What the names of patches tell.

    Attributes:
        slides: Slide of each patch, "" if its name has none.
        places: (n, 2) row and column on the slide; None if the names have none.
        owners: What lies apart from all others: the slide, or else the folder.
        placed: Number of patches whose names have a row and a column.
        is_pair: Whether places are two numbers that are not called row, column, x or y.
        step: Pixels from one place to the next; 1 if places are counted.
    """

    slides: Sequence[str]
    places: Ints | None = None
    owners: Sequence[str] = ()
    placed: int = 0
    is_pair: bool = False
    step: int = 1


def read_names(files: Sequence[str], rows_first: bool = True) -> Names:
    """Reads the slide and the position of each patch.

    Args:
        files: Paths of the patches.
        rows_first: Whether names such as slide_3_12.png mean row 3, not column 3.
    """
    stems = _without_common_end([re.sub(r"\.\w{1,5}$", "", f.rpartition("/")[2]) for f in files])
    for pattern, down_first in _NAMED:
        names = _of_matches(files, [pattern.fullmatch(stem) for stem in stems], down_first)
        if names:
            return names
    counted = [match[1] or "" if (match := _COUNTED.fullmatch(stem)) else "" for stem in stems]
    if _are_most(counted):
        return Names(counted)
    pairs = _of_matches(files, [_PAIR.fullmatch(stem) for stem in stems], rows_first)
    if pairs and pairs.places is not None and _is_grid(pairs):
        return replace(pairs, is_pair=True)
    return Names([""] * len(files))


def place_patches(index: Index, names: Names) -> Index:
    """Gives patches their rows and columns as positions; slides lie below each other.

    Args:
        index: Of the patches.
        names: What their names tell.

    Returns:
        The index; unchanged if the names have no rows and columns.
    """
    if names.places is None:
        return index
    alone = len(np.unique(index.groups)) == len(index)  # then slides are told apart by names only
    groups = np.zeros(len(index), np.int64) if alone else index.groups
    _, owners = np.unique(names.owners, return_inverse=True)
    _, slides = np.unique(np.stack([groups, owners], axis=1), axis=0, return_inverse=True)
    heights = _APART - _lowest(slides, -names.places[:, 0])
    rows = names.places[:, 0] + (np.cumsum(heights) - heights)[slides]
    placed = index.expand(
        np.arange(len(index)), positions=np.stack([rows, names.places[:, 1]], axis=1)
    )
    return replace(placed, remarks=(*index.remarks, _remark(names, len(index))))


def _of_matches(files: Sequence[str], matches: Sequence[Match], rows_first: bool) -> Names | None:
    """Returns what names tell of which most match a pattern: slide, number, number."""
    slides = [match[1] or "" if match else "" for match in matches]
    folders = [file.rpartition("/")[0] for file in files]
    pairs = zip(files, matches, folders, strict=True)
    owners = [(match[1] or folder or ".") if match else file for file, match, folder in pairs]
    placed = [owner for owner, match in zip(owners, matches, strict=True) if match]
    if len(placed) < _MOST * len(files) or len(placed) < 2 * len(set(placed)):
        return None
    order = (2, 3) if rows_first else (3, 2)
    places = np.array([[int(m[order[0]]), int(m[order[1]])] if m else [0, 0] for m in matches])
    if _repeat(owners, places):  # slides of one name in several folders
        owners = [f"{folder}/{owner}" for folder, owner in zip(folders, owners, strict=True)]
    if _repeat(owners, places):
        return Names(slides) if _are_most(slides) else None
    _, numbers = np.unique(owners, return_inverse=True)
    corners = np.stack([_lowest(numbers, axis) for axis in places.T], axis=1)
    relative = places - corners[numbers]
    step = int(np.gcd.reduce(relative, axis=None))
    step = step if step >= _STEP and places.max() > _FAR else 1
    return Names(slides, relative // step, owners, len(placed), step=step)


def _lowest(numbers: Ints, values: Ints) -> Ints:
    """Returns the lowest value of each number."""
    lowest = np.full(numbers.max() + 1, values.max())
    np.minimum.at(lowest, numbers, values)
    return lowest


def _repeat(owners: Sequence[str], places: Ints) -> bool:
    """Tells whether two patches of a slide have the same place."""
    return len({*zip(owners, *places.T.tolist(), strict=True)}) < len(owners)


def _without_common_end(stems: list[str]) -> list[str]:
    """Cuts off last numbers that all names share, such as the size of the tiles."""
    while len(stems) > 1:
        ends = {match.group() if (match := re.search(r"[ _-]\d+$", s)) else "" for s in stems}
        if len(ends) != 1 or "" in ends:
            break
        stems = [stem[: -len(next(iter(ends)))] for stem in stems]
    return stems


def _are_most(slides: Sequence[str]) -> bool:
    """Tells whether most names have a slide, and slides have several patches."""
    counts = Counter(slide for slide in slides if slide)
    named = sum(counts.values())
    return named >= _MOST * len(slides) and named >= 2 * len(counts)


def _is_grid(names: Names) -> bool:
    """Tells whether pairs of numbers are rows and columns of tiles, not dates or counts."""
    if names.step > 1:
        return True
    assert names.places is not None  # noqa: S101  the caller has looked
    distinct = (
        len({*zip(names.owners, names.places[:, axis].tolist(), strict=True)}) for axis in (0, 1)
    )
    return all(count <= _REPEATED * len(names.owners) for count in distinct)


def _remark(names: Names, count: int) -> str:
    """Says which positions there are, and what was assumed."""
    step = f", in steps of {names.step} pixels" if names.step > 1 else ""
    which = f"{count}" if names.placed == count else f"{names.placed} of {count}"
    if names.is_pair:
        return (
            f"Two numbers in the names of {which} patches are taken for row and column{step}. If "
            "they are x and y, --set data.options.numbers=x_y."
        )
    return f"Names of {which} patches tell row and column{step}, which are their positions."
