"""Tells what was understood of images and their labels."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from ..core.discovery import domains
from ..core.domain import Domain
from ..data.inspection import inspect_dataset
from ..data.opening import open_dataset
from ..data.splits import split
from ..evaluation.data import EvaluationData
from ..evaluation.requests import refusals
from ..reports.inspection import Understood
from ..training.settings import expand, from_flags
from ..training.setup import resolve


def inspect(
    *,
    domain: str,
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    layout: str = "",
    holdout: float | None = None,
    set: Mapping[str, Any] | None = None,
) -> Understood:
    """Tells what was understood of images: channels, values, labels, groups, parts, copies.

    The arguments are the flags of `ssl-kit inspect`. Pixels of up to 1,024 images are looked at.

    Returns:
        Facts as a dictionary of plain values; printed, they are a text.
    """
    flags = {"domain": domain or None, "data": fspath(data), "labels": fspath(labels)}
    config = resolve(from_flags({**flags, "layout": layout, "holdout": holdout}), expand(set))
    kind: Domain = domains[config.domain]
    dataset = open_dataset(kind, config.data)
    splits = split(dataset.index, config.data.holdout)
    reasons = refusals(EvaluationData(dataset, splits, kind))
    return Understood(inspect_dataset(dataset, splits), reasons)
