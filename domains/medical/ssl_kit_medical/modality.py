"""Doubts about options that suit one modality only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssl_kit.data import agree, plural

_AIR, _METAL = -500.0, 4100.0  # Hounsfield units: a volume of CT has lower, and no higher, values


def is_like_ct(low: float, high: float) -> bool:
    """Tells whether values may be Hounsfield units, from their 0.5th and 99.5th percentile."""
    return low < _AIR and high < _METAL


def doubts_on_window(window: object, are_ct: Sequence[bool], known: bool) -> Iterable[str]:
    """Yields a sentence if a window of CT is used for other images.

    Args:
        window: The option; names are windows of CT.
        are_ct: Whether each file, or each volume that was looked at, is CT.
        known: Whether headers say so, and not the values.
    """
    others = sum(not each for each in are_ct)
    if not isinstance(window, str) or not others:
        return
    what = plural(len(are_ct), "file" if known else "volume")
    if known:
        facts = f"{others} of {what} {agree(others, 'is', 'are')} not CT"
    else:
        facts = (
            f"{others} of {what} looked at {agree(others, 'has', 'have')} no values of air "
            f"(-1000), or values far above those of bone, and may not be CT"
        )
    chosen = "choose the images with data.options.modality=CT, or " if known else ""
    yield (
        f"{facts}: the window '{window}' is in Hounsfield units, and other images become black or "
        f"white. If that is so, {chosen}leave data.options.window out, or give [center, width] in "
        "units of the files."
    )


def doubts_on_slices(slices: int, sizes: Sequence[int]) -> Iterable[str]:
    """Yields a sentence if neighboring slices are asked for where most volumes have none.

    Args:
        slices: The option.
        sizes: Number of slices of each volume.
    """
    single = sum(size == 1 for size in sizes)
    if slices > 1 and 2 * single > len(sizes):
        yield (
            f"data.options.slices is {slices}, but {single} of {plural(len(sizes), 'volume')} "
            f"{agree(single, 'has', 'have')} a single slice, so that all channels are equal. Leave "
            "it out for projections such as radiographs."
        )
