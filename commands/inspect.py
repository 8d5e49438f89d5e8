"""Tells what was understood of images and their labels."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from ..data.inspection import inspect_dataset
from ..data.opening import open_dataset
from ..data.splits import split
from ..evaluation.data import EvaluationData
from ..evaluation.requests import refusals
from ..reports.inspection import Understood
from .open_data import settings_of


def inspect(
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    layout: str = "",
    holdout: float | None = None,
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> Understood:
    """Tells what was understood of images: channels, values, labels, groups, parts, copies.

    The arguments are the flags of `ssl-kit inspect`. Pixels of up to 1,024 images are looked at.

    Returns:
        Facts as a dictionary of plain values; printed, they are a text.
    """
    texts = {"domain": domain, "data": data, "labels": labels, "layout": layout}
    kind, settings = settings_of({**texts, "holdout": holdout}, config, set)
    dataset = open_dataset(kind, settings.data)
    splits = split(dataset.index, settings.data.holdout)
    reasons = refusals(EvaluationData(dataset, splits, kind))
    return Understood(inspect_dataset(dataset, splits), reasons)
