"""Names of channels that users give, in the spelling of the domain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.dataset import Dataset
from ..core.domain import Domain
from ..core.errors import did_you_mean

MAY_BE_A_SLIP = "is no name of a channel that the domain"


def with_standard_names(
    domain: Domain, reader: type[Dataset], options: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Spells the names that an option gives to channels as the domain does: swir2 is swir_2.

    Weights are matched by these names, so that a name of another spelling would be a new channel.

    Args:
        domain: Has the names.
        reader: Has the option, `naming`.
        options: Of the reader.

    Returns:
        The options, and sentences on what was changed.
    """
    option = getattr(reader, "naming", "")
    names: Any = options.get(option)
    if not domain.channel_names or not isinstance(names, list | tuple):
        return dict(options), []
    spelled = [domain.channel_names.get(_plain(name), name) for name in names]
    changed = [f"'{a}' as '{b}'" for a, b in zip(names, spelled, strict=True) if a != b]
    remarks = [f"Names of channels are read as others: {', '.join(changed)}."] if changed else []
    return {**options, option: spelled}, remarks


def unknown_names(domain: Domain, dataset: Dataset) -> Iterator[str]:
    """Yields a sentence on each name of a channel that may be a slip, and on unknown ones.

    Names that users gave are looked at; those of files are what they are.
    """
    given = getattr(dataset.options, getattr(dataset, "naming", ""), ())
    standard = list(dict.fromkeys(domain.channel_names.values()))
    if not standard or not isinstance(given, list | tuple):
        return
    names = [name for name in dataset.channels if name in given]
    questions = {n: did_you_mean(n, standard) for n in names if n not in standard}
    for name, question in questions.items():
        if question:
            doubt = f"'{name}' {MAY_BE_A_SLIP} {domain.name} knows, so that weights are not matched"
            yield f"{doubt} by it. {question}"
    others = [name for name, question in questions.items() if not question]
    if others and (len(others) < len(names) or any(map(_NUMBERED.fullmatch, others))):
        yield (
            f"The domain {domain.name} does not know the channels {', '.join(others)}; it knows "
            f"{', '.join(standard)}."
        )


_NUMBERED = re.compile(r"b(and)?[ _-]?\d+[a-z]?", re.IGNORECASE)


def _plain(name: object) -> str:
    return re.sub(r"[\W_]+", "", str(name)).lower()
