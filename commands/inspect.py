"""Tells what was understood of images and their labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

from ..data.inspection import inspect_dataset
from ..data.opening import open_dataset
from ..data.splits import split
from ..evaluation.data import EvaluationData
from ..evaluation.refusals import refusals
from ..nn.channel_names import spelled_alike
from ..nn.checkpoints import facts_beside
from ..nn.weights import existing_weights
from ..reports.inspection import Understood
from .open_data import settings_of


def inspect(
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    init: str | PathLike[str] = "",
    layout: str = "",
    holdout: float | None = None,
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> Understood:
    """Tells what was understood of images: channels, values, labels, groups, parts, copies.

    The arguments are the flags of `ssl-kit inspect`; channels are compared with those of the
    weights that `init` names. Pixels of up to 1,024 images are looked at.

    Returns:
        Facts as a dictionary of plain values; printed, they are a text.
    """
    texts = {"domain": domain, "data": data, "labels": labels, "layout": layout, "init": init}
    kind, settings = settings_of({**texts, "holdout": holdout}, config, set)
    if settings.encoder.init not in ("scratch", "imagenet"):
        existing_weights(settings.encoder.init)  # refuses what `train` would refuse
    dataset = open_dataset(kind, settings.data)
    splits = split(dataset.index, settings.data.holdout)
    reasons = refusals(EvaluationData(dataset, splits, kind))
    facts = inspect_dataset(dataset, splits)
    slips = _slips(settings.encoder.init, dataset.channels)
    return Understood(replace(facts, warnings=(*facts.warnings, *slips)), reasons)


def _slips(init: str, channels: Sequence[str]) -> Iterator[str]:
    """Asks about channels that are spelled almost like a channel of the weights to start from."""
    known = [name for name in facts_beside(init).get("channels", ()) if name not in channels]
    for name in channels:
        other = spelled_alike(name, known)
        if other:
            yield (
                f"The channel '{name}' is not among those of '{init}', which has '{other}': is it "
                "a slip? Weights are matched by name."
            )
