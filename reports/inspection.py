"""What was understood of a dataset, as rows of facts and as a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data.inspection import Inspection
from ..data.looking import Channel
from .tables import aligned
from .words import listed, plural

_MOST = 16  # channels, classes and sizes that are listed


class Understood(dict[str, Any]):
    """Facts on a dataset as plain values; printed, they are a text.

    Args:
        inspection: The facts.
        refusals: By the name of each evaluation, why it refuses the images; "" if it does not.
    """

    def __init__(self, inspection: Inspection, refusals: Mapping[str, str]) -> None:
        super().__init__({**inspection.to_json(), "evaluations": dict(refusals)})
        self._lines = [*_lines(inspection, refusals)]

    def __repr__(self) -> str:
        return "\n".join(self._lines)


def _lines(facts: Inspection, refusals: Mapping[str, str]) -> Iterator[str]:
    yield from aligned(list(fact_rows(facts)))
    for table in (channel_rows(facts), class_rows(facts), _detail_rows(facts)):
        if table:
            yield ""
            yield from aligned(table)
    for heading, sentences in (
        ("What the evaluations can use:", evaluation_sentences(refusals)),
        ("What was assumed and left out:", facts.remarks),
        ("What looks wrong:", facts.warnings),
    ):
        if sentences:
            yield from ("", heading, *(f"- {sentence}" for sentence in sentences))


def fact_rows(facts: Inspection) -> Iterator[tuple[str, str]]:
    """Yields names and texts of the facts on all images."""
    looked = facts.looked_at == facts.images
    pixels = "" if looked else f"; the pixels of {facts.looked_at:,} were looked at"
    bad, least = sum(facts.unreadable.values()), "" if looked else "at least "
    unreadable = f", of which {least}{bad:,} cannot be read" if bad else ""
    yield "Images", f"{facts.images:,}{unreadable}{pixels}"
    if facts.files:
        yield "Files", facts.files
    yield "Read as", ", ".join(facts.types) if len(facts.types) == 1 else _counts(facts.types)
    yield "Size", _sizes(facts.sizes)
    yield "Labels", _labels(facts)
    yield "Groups", _groups(facts)
    yield "Split", _split(facts)
    yield "Copies", _copies(facts)


def _sizes(sizes: Mapping[str, int]) -> str:
    if all(size.startswith("1 x ") for size in sizes):
        return f"signals of {listed([size[4:] for size in list(sizes)[:_MOST]])} samples"
    if len(sizes) == 1:
        return f"{next(iter(sizes))} pixels (height x width)"
    if len(sizes) <= 4:
        return f"{_counts(sizes)} pixels (height x width)"
    pairs = [tuple(map(int, size.split(" x "))) for size in sizes]
    heights, widths = zip(*pairs, strict=True)
    return (
        f"{len(sizes)} sizes, {min(heights)} to {max(heights)} pixels high and {min(widths)} to "
        f"{max(widths)} wide"
    )


def _labels(facts: Inspection) -> str:
    origin = f", from {facts.origins['label']}" if "label" in facts.origins else ""
    unlabeled = f"; {plural(facts.unlabeled, 'image')} without" if facts.unlabeled else ""
    if "lowest" in facts.targets:
        low, high = facts.targets["lowest"], facts.targets["highest"]
        return f"numbers from {low:g} to {high:g}{origin}{unlabeled}"
    if facts.targets:
        return f"several of {len(facts.targets)} classes an image{origin}{unlabeled}"
    if not facts.classes:
        return "none"
    return f"{len(facts.classes)} classes{origin}{unlabeled}"


def _groups(facts: Inspection) -> str:
    origin = f", from {facts.origins['group']}" if "group" in facts.origins else ""
    if facts.single:
        return f"every image is a group of its own{origin or ', because none are declared'}"
    return f"{facts.groups:,}{origin or ', one for each file'}; none is split between the parts"


def _split(facts: Inspection) -> str:
    if not facts.parts["test"]:
        why = "" if facts.classes or facts.targets else ", because there are no labels"
        return f"nothing is held out for testing{why}"
    counts = (
        f"{facts.parts[part]:,} {name}"
        + ("" if facts.single else f" in {plural(facts.part_groups[part], 'group')}")
        for part, name in (("train", "training"), ("val", "validation"), ("test", "test images"))
    )
    how = f"from {facts.origins['split']}" if "split" in facts.origins else "drawn by label"
    return f"{listed(list(counts))}, {how}; test images are kept out of pre-training"


def _copies(facts: Inspection) -> str:
    copies = facts.copies
    if not copies.equal and not copies.near:
        return "none among the images looked at"
    kinds = [f"{plural(copies.equal, 'pair')} of equal images"] if copies.equal else []
    kinds += [f"{plural(copies.near, 'pair')} of nearly equal ones"] if copies.near else []
    example = f", such as {listed(copies.example)}" if copies.example else ""
    return (
        f"{listed(kinds)} among the images looked at{example}; {copies.across_split} across the "
        f"test part and the rest, {copies.across_classes} across classes"
    )


def channel_rows(facts: Inspection) -> list[list[str]]:
    """Returns a table of the channels; the first row is its heading."""
    heading = ["channel", "lowest", "highest", "becomes 0", "becomes 1", "outside", "no number"]
    rows = [heading, *map(_channel, facts.channels[:_MOST])]
    more = len(facts.channels) - _MOST
    return [*rows, [f"and {plural(more, 'channel')} more"]] if more > 0 else rows


def _channel(channel: Channel) -> list[str]:
    ends = (channel.low, channel.high, *channel.mapped)
    shares = (channel.outside, channel.invalid)
    return [channel.name, *map(_value, ends), *(f"{100 * share:.1f} %" for share in shares)]


def _value(value: float) -> str:
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"


def class_rows(facts: Inspection) -> list[list[str]]:
    """Returns a table of the classes and of their images in each part; [] if there are none."""
    if not facts.classes:
        several = facts.targets if "lowest" not in facts.targets else {}
        rows = [[name, f"{number:g}"] for name, number in several.items()][:_MOST]
        return [["class", "images"], *rows] if rows else []
    parts = ("train", "val", "test") if facts.parts["test"] else ()
    names = {"train": "training", "val": "validation", "test": "test"}
    rows = [
        [name, f"{count:,}", *(f"{facts.part_classes[part].get(name, 0):,}" for part in parts)]
        for name, count in list(facts.classes.items())[:_MOST]
    ]
    more = len(facts.classes) - _MOST
    rows += [[f"and {more} more"]] if more > 0 else []
    return [["class", "images", *(names[part] for part in parts)], *rows]


def _detail_rows(facts: Inspection) -> list[Sequence[str]]:
    more = len(facts.details) - 1 - _MOST
    return [*facts.details[: _MOST + 1], *([[f"and {more} more"]] if more > 0 else [])]


def evaluation_sentences(refusals: Mapping[str, str]) -> Sequence[str]:
    """Says which evaluations can be asked, and why the others cannot; one sentence a reason."""
    possible = [name for name, reason in refusals.items() if not reason]
    sentences = [f"{listed(possible)} can be asked."] if possible else []
    for reason in dict.fromkeys(filter(None, refusals.values())):
        names = [name for name, other in refusals.items() if other == reason]
        sentences.append(f"{listed(names)}: no. {reason}")
    return sentences


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({number:,})" for name, number in list(counts.items())[:_MOST]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
