"""Opens images."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from ..core.dataset import Dataset
from ..core.discovery import domains
from ..core.domain import Domain
from ..data.opening import open_dataset
from ..training.settings import expand, from_flags
from ..training.setup import resolve


def open_data(
    *,
    domain: str,
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    set: Mapping[str, Any] | None = None,
) -> Dataset:
    """Opens images as `train` does; without `data`, the demo of the domain.

    Args:
        domain: Domain of the images; see `ssl-kit domains`.
        data: Images: a folder, a file or the name of a dataset.
        labels: CSV file with the columns path, label, group, split.
        set: Settings of the images, such as {"data.options.tile": 64}.

    Returns:
        The dataset: `dataset[i].image` is image i, (H, W, C), scaled to its range.
    """
    return opened(domain, data, labels, set)[1]


def opened(
    domain: str,
    data: str | PathLike[str],
    labels: str | PathLike[str],
    set: Mapping[str, Any] | None,
) -> tuple[Domain, Dataset]:
    """Returns the domain and its images; see `open_data`."""
    flags = {"domain": domain or None, "data": fspath(data), "labels": fspath(labels)}
    config = resolve(from_flags(flags), expand(set))
    kind: Domain = domains[config.domain]
    return kind, open_dataset(kind, config.data)
