"""Compares encoders at several label budgets."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..evaluation.comparing.cells import compute
from ..evaluation.comparing.plan import plan
from ..reports.comparison import table
from ..reports.printed import Record
from ..training.progress import Progress
from .config_file import below_flags
from .provenance import command_of, of_images


def compare(
    *arms: str | PathLike[str],
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    evaluation: str = "linear",
    budgets: str | Sequence[str | int | float] = "10,50,all",
    seeds: int = 3,
    imagenet_weights: str | PathLike[str] = "",
    encoder: str = "",
    image_size: int = 0,
    holdout: float | None = None,
    config: str | PathLike[str] | None = None,
    allow_overlap: bool = False,
    strict: bool = False,
    controls: bool = True,
    set: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Record:
    """Tells whether pre-training helped: runs, "scratch", "imagenet", "random-frozen".

    The arguments are the flags of `ssl-kit compare`. An interrupted comparison goes on.

    Returns:
        The content of compare.json, which is in its `folder`; printed, it is a table.
    """
    given = below_flags(locals(), arms)
    command, images = command_of(compare, locals()), of_images(given)
    planned = plan(
        [fspath(arm) for arm in arms],
        evaluation=evaluation,
        budgets=budgets,
        seeds=seeds,
        imagenet_weights=fspath(imagenet_weights),
        controls=controls,
        **images,
        settings=given["set"],
    )
    folder = Path(out) if out else planned.folder
    values = compute(planned, folder, command, Progress(quiet))
    return Record(values, folder, table(values))
