"""Lists and runs recipes: complete experiments of papers."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..data.opening import absolute
from ..reports.printed import Record
from ..training.recipe import read_recipe
from .provenance import command_of


def run_recipe(
    name: str,
    *,
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    small: bool = False,
    seed: int = 0,
    max_time: str | float | None = None,
    imagenet_weights: str | PathLike[str] = "",
    set: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Record:
    """Pre-trains and compares as a paper did; the same call goes on with what was interrupted.

    The arguments are the flags that `ssl-kit recipes run --help` describes.

    Returns:
        The content of recipe.json, which is in its `folder` beside report.html.
    """
    from ..evaluation.recipes import Request
    from ..evaluation.recipes import run_recipe as run
    from ..reports.html.page import write_report
    from ..reports.recipes import finished
    from ..training.progress import Progress
    from ..training.settings import from_flags

    command = command_of(run_recipe, locals(), __name__)
    flags: dict[str, Any] = {"seed": seed, "max_time": max_time}
    flags |= {key: fspath(value) for key, value in (("data", data), ("labels", labels)) if value}
    recipe, weights = read_recipe(name, small, set), absolute(fspath(imagenet_weights))
    request = Request(Path(name).stem, recipe, small, from_flags(flags), weights, command)
    words = ["recipe", request.name, *(["small"] if small else [])]
    folder = Path(out) if out else Path("runs") / "-".join(words)
    values = run(request, folder, Progress(quiet))
    write_report(folder)
    return Record(values, folder, finished(folder))
