"""Runs recipes: complete experiments of papers."""

from collections.abc import Mapping
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.named import absolute
from ..training.layers import from_flags
from ..training.recipe import read_recipe
from .provenance import command_of

if TYPE_CHECKING:
    from ..reports.printed import Record


def run_recipe(
    name: str,
    *,
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    small: bool = False,
    seed: int | None = None,
    max_time: str | float | None = None,
    imagenet_weights: str | PathLike[str] = "",
    set: Mapping[str, Any] | None = None,
    out: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> "Record":
    """Pre-trains and compares as a paper did; the same call goes on with what was interrupted.

    The arguments are the flags that `ssl-kit recipes run --help` describes.

    Returns:
        The content of recipe.json, which is in its `folder` beside report.html.
    """
    command = command_of(run_recipe, locals(), __name__)
    recipe = read_recipe(name, small, set)  # wrong settings are refused before torch is imported

    from ..evaluation.recipes import Request
    from ..evaluation.recipes import run_recipe as run
    from ..reports.html.page import write_report
    from ..reports.printed import Record
    from ..reports.recipes import finished
    from ..training.progress import Progress
    from .exports.drawn import draw_grad_cam

    flags = {"seed": seed, "max_time": max_time, "data": data or None, "labels": labels or None}
    layer, weights = from_flags(flags), absolute(fspath(imagenet_weights))
    request = Request(Path(name).stem, recipe, small, layer, weights, command)
    default = "-".join(["recipe", request.name, *(["small"] if small else [])])
    folder = Path(out) if out else Path("runs") / default
    values = run(request, folder, partial(draw_grad_cam, quiet), Progress(quiet))
    write_report(folder)
    return Record(values, folder, finished(folder))
