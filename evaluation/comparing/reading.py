"""How the images of a comparison are read: the reader, its options and the channels."""

from __future__ import annotations

from typing import Any

from ...core.dataset import Dataset
from ...data.opening import DataConfig
from ...training.run import Run

READER, OPTIONS, CHANNELS = "data.reader", "data.options", "channels"
_ANY = "the first that can"


def reading(dataset: Dataset, config: DataConfig) -> dict[str, Any]:
    """Returns what decides the pixels of images besides their files, as settings of a comparison.

    Args:
        dataset: The images.
        config: Their settings.
    """
    options = dataset.options.model_dump(mode="json", exclude_defaults=True)
    channels = list(dataset.channels)
    return {READER: config.reader or _ANY, OPTIONS: options, CHANNELS: channels}


def changed_reading(config: DataConfig, run: Run | None) -> dict[str, Any]:
    """Returns what a reader has without `--set`, where `--set` changes it; {} where it does not.

    A comparison of an earlier version did not note how its images were read, and is taken for one
    without `--set`.

    Args:
        config: Settings of the images.
        run: The first run, which has settings of its own; None without runs.
    """
    own, before = run.config.data if run else DataConfig(), dict[str, Any]()
    if any(name not in own.options or own.options[name] != v for name, v in config.options.items()):
        before[OPTIONS] = dict(own.options)
    if config.reader not in ("", own.reader):
        before[READER] = own.reader or _ANY
    return before
