"""Searches settings of pre-training for the images at hand."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ..evaluation.tuning.request import BESIDE, BUDGET, Request, refuse_beside_resume
from ..evaluation.tuning.run import search
from ..reports.html.page import write_report
from ..reports.printed import Record
from ..reports.tuning import tuned
from ..training.flags import FLAGS
from ..training.layers import expand, from_flags, read_toml
from ..training.progress import Progress
from .provenance import command_of


def tune(
    *,
    domain: str | None = None,
    data: str | PathLike[str] | None = None,
    labels: str | PathLike[str] | None = None,
    layout: str | None = None,
    encoder: str | None = None,
    init: str | PathLike[str] | None = None,
    image_size: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    precision: str | None = None,
    holdout: float | None = None,
    max_skip: float | None = None,
    budget: str | float = BUDGET,
    objectives: str | Sequence[str] = "",
    scratch: bool = False,
    trust_label_free: bool = False,
    out: str | PathLike[str] | None = None,
    config: str | PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,
    resume: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Record:
    """Searches objective, views, learning rate and more; returns the content of tune.json.

    The arguments are the flags that `ssl-kit tune --help` describes. What is set is not searched.
    """
    given = dict(locals())
    flags = {name: given[name] for name in FLAGS if name in given}
    if resume is None:
        layers = [read_toml(Path(config)) if config else {}, from_flags(flags), expand(set)]
        command = command_of(tune, given)
        request = Request.of(layers, objectives, budget, scratch, trust_label_free, command)
        folder = Path(out) if out else request.new_folder()
    else:
        refuse_beside_resume({**flags, **{name: given[name] for name in BESIDE}})
        folder, request = Path(resume), Request.load(Path(resume))
    values = search(request, folder, Progress(quiet))
    write_report(folder)
    return Record(values, folder, tuned(values, folder))
