"""Refuses images of other channels than an encoder's, and says what makes them fit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.dataset import Dataset
from ..core.errors import UsageError
from ..data.file_dataset import FileDataset
from ..data.named import NamedDataset
from ..nn.channel_names import listed_channels, spelled_alike


def refuse_other_channels(
    dataset: Dataset, channels: Sequence[str], origin: str, weights: Path | None = None
) -> None:
    """Refuses images whose channels are not those of an encoder, in the same order.

    Args:
        dataset: The images.
        channels: Names of the encoder's channels.
        origin: Its run or name.
        weights: Its file of weights, which can be adapted to other channels; None if there is none.

    Raises:
        UsageError: If they are not; it says which option or command makes them fit.
    """
    if tuple(dataset.channels) == tuple(channels):
        return
    theirs, own = listed_channels(dataset.channels), listed_channels(channels)
    raise UsageError(
        f"The images have {_counted(dataset.channels)} ({theirs}), but {origin} was trained on "
        f"{_counted(channels)} ({own}). {_advice(dataset, channels, origin, weights)}"
    )


def _slips(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Lists names that are spelled like a known one."""
    alike = {name: spelled_alike(name, known) for name in names if name not in known}
    return [f"'{other}' for '{name}'" for name, other in alike.items() if other]


def _assignment(name: str, value: Any) -> str:
    text = value if isinstance(value, str | int) else json.dumps(list(value))
    return shlex.quote(f"data.options.{name}={text}")


def _counted(channels: Sequence[str]) -> str:
    return f"{len(channels)} channel{'s' * (len(channels) != 1)}"


def _advice(dataset: Dataset, channels: Sequence[str], origin: str, weights: Path | None) -> str:
    """Says what to do: an option of the reader, another name, or weights that are adapted."""
    if isinstance(dataset, FileDataset | NamedDataset) and (
        options := dataset.options_for(channels)
    ):
        listed = " ".join(f"--set {_assignment(*option)}" for option in options.items())
        if set(channels) <= set(dataset.channels):
            return f"Choose these with {listed}."
        if len(channels) != len(dataset.channels):
            return f"Read them so with {listed}."
        return f"If the images have the same channels in the same order, name them with {listed}."
    slips = _slips(dataset.channels, channels)
    unknown = not slips and not set(channels) & set(dataset.channels)
    if isinstance(dataset, FileDataset) and dataset.naming and unknown:
        option = f"--set 'data.options.{dataset.naming}=[...]'"
        return f"No channel has a name of theirs. Name them with {option} first."
    advice = f"Did you mean {', '.join(slips)}? " if slips else ""
    if weights is None:
        return f"{advice}Choose images with the same channels."
    return (
        f"{advice}Go on with 'ssl-kit train --init {origin}' on images of these channels, or give "
        f"the file '{weights}' instead of the run: both match channels by name."
    )
