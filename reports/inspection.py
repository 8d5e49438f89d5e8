"""The text of what was understood of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..data.inspection import Channel, Inspection
from .words import aligned, plural

_MOST = 12  # channels, classes and sizes that are listed


class Understood(dict[str, Any]):
    """Facts on a dataset as plain values; printed, they are a text.

    Args:
        inspection: The facts.
        reason: Why evaluations with labels are not possible, "" if they are.
    """

    def __init__(self, inspection: Inspection, reason: str) -> None:
        super().__init__({**inspection.to_json(), "no_evaluation": reason})
        self._lines = [*_lines(inspection, reason)]

    def __repr__(self) -> str:
        return "\n".join(self._lines)


def _lines(facts: Inspection, reason: str) -> Iterator[str]:
    counted = plural(facts.images, "image")
    looked = "" if facts.looked_at == facts.images else f"; pixels of {facts.looked_at} looked at"
    yield f"{counted}{looked}"
    yield f"Number types: {_counts(facts.types)}. Sizes (height x width): {_counts(facts.sizes)}."
    yield ""
    yield from aligned([_HEADING, *map(_channel, facts.channels[:_MOST])])
    if len(facts.channels) > _MOST:
        yield f"... and {plural(len(facts.channels) - _MOST, 'channel')} more"
    yield ""
    yield from _labels(facts)
    parts = facts.parts
    yield (
        f"Parts: {parts['train']} training, {parts['val']} validation and {parts['test']} test "
        "images; the test images are kept out of pre-training."
    )
    yield f"Evaluations with labels are possible: {'no. ' + reason if reason else 'yes.'}"
    copies = facts.copies
    if copies.equal or copies.near:
        yield (
            f"Copies among the images looked at: {plural(copies.equal, 'pair')} of equal images, "
            f"{plural(copies.near, 'pair')} of nearly equal ones, such as "
            f"{' and '.join(copies.example)}."
        )
    if facts.remarks:
        yield from ("", "What was assumed and left out:", *(f"- {r}" for r in facts.remarks))
    if facts.warnings:
        yield from ("", "What looks wrong:", *(f"- {w}" for w in facts.warnings))


_HEADING = ["channel", "lowest", "highest", "becomes 0", "becomes 1", "outside", "no number"]


def _channel(channel: Channel) -> list[str]:
    ends = (channel.low, channel.high, *channel.mapped)
    shares = (channel.outside, channel.invalid)
    return [channel.name, *(f"{v:.4g}" for v in ends), *(f"{100 * s:.1f} %" for s in shares)]


def _labels(facts: Inspection) -> Iterator[str]:
    if facts.classes:
        yield f"Classes: {_counts(facts.classes)}."
        if facts.unlabeled:
            yield f"{plural(facts.unlabeled, 'image')} without a label."
    else:
        yield "No labels."
    kind = "every image is a group of its own" if facts.single else plural(facts.groups, "group")
    yield f"Groups: {kind}; a group is never split across training and test."


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({number})" for name, number in list(counts.items())[:_MOST]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
