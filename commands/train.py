"""Pre-trains an encoder."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..training.flags import FLAGS
from ..training.layers import expand, from_flags, read_toml
from ..training.progress import Progress
from ..training.run import Run
from ..training.start import go_on, start
from .provenance import command_of


def train(
    *,
    domain: str | None = None,
    data: str | PathLike[str] | None = None,
    labels: str | PathLike[str] | None = None,
    layout: str | None = None,
    objective: str | None = None,
    encoder: str | None = None,
    init: str | PathLike[str] | None = None,
    image_size: int | None = None,
    epochs: float | None = None,
    max_time: str | float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    precision: str | None = None,
    pair_by: str | None = None,
    holdout: float | None = None,
    max_skip: float | None = None,
    on_collapse: str | None = None,
    out: str | PathLike[str] | None = None,
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
    resume: str | PathLike[str] | None = None,
    strict: bool = False,
    quiet: bool = True,
) -> Run:
    """Pre-trains an encoder on unlabeled images; returns the run, also one that was resumed.

    The arguments are the flags that `ssl-kit train --help` describes; None is "not given". `set`
    holds any settings, such as {"objective.temperature": 0.2}. `strict=True` refuses images in
    which something looks wrong. `quiet=False` shows the progress.
    """
    command = command_of(train, locals())
    flags = {name: value for name, value in locals().items() if name in FLAGS}
    if resume is not None:
        if strict or any(value is not None for value in (*flags.values(), out, config, set)):
            text = "--resume goes on with the settings of the run; give no others and no --strict"
            raise UsageError(f"{text} beside it.")
        return go_on(Path(resume), Progress(quiet))[0]
    layers = [read_toml(Path(config))] if config else []
    layers += [from_flags(flags), expand(set)]
    return start(layers, Path(out) if out else None, Progress(quiet), command, strict)[0]
