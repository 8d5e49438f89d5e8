"""Opens images."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from ..core.dataset import Dataset
from ..core.discovery import domains
from ..core.domain import Domain
from ..data.opening import open_dataset
from ..training.layers import expand, from_flags
from ..training.settings import RunConfig
from ..training.setup import resolve
from .config_file import read_config


def open_data(
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> Dataset:
    """Opens images as `train` does; without `data`, the demo of the domain.

    Args:
        domain: Domain of the images; see `ssl-kit domains`.
        data: Images: a folder, a file or the name of a dataset.
        labels: CSV file with the columns path, label, group, split.
        config: TOML file with settings, below the arguments and `set`.
        set: Settings of the images, such as {"data.options.tile": 64}.

    Returns:
        The dataset: `dataset[i].image` is image i, (H, W, C), scaled to its range.
    """
    kind, settings = settings_of({"domain": domain, "data": data, "labels": labels}, config, set)
    return open_dataset(kind, settings.data)


def settings_of(
    flags: Mapping[str, Any],
    config: str | PathLike[str] | None,
    set: Mapping[str, Any] | None,
) -> tuple[Domain, RunConfig]:
    """Returns the domain and all settings, as `train` would resolve them.

    Args:
        flags: By their names; "" and None were not given.
        config: TOML file with settings below the flags, None for none.
        set: Further settings, above the flags.
    """
    given = {name: value for name, value in flags.items() if value not in ("", None)}
    settings = resolve(read_config(config), from_flags(given), expand(set))
    return domains[settings.domain], settings
