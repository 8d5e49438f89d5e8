"""Evaluates an encoder."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..evaluation.beside_start import evaluate_beside_start
from ..evaluation.groups import names_of_groups
from ..evaluation.own_predictions import NAME, evaluate_predictions, refuse_options
from ..evaluation.requests import choose, prepare, run_of
from ..evaluation.tuned import TunedRun
from ..reports.printed import Evaluations
from ..training.work import shown
from .config_file import below_flags
from .provenance import command_of, of_images


def evaluate(
    model: str | PathLike[str],
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    evaluation: str | Sequence[str] = "",
    encoder: str = "",
    image_size: int = 0,
    holdout: float | None = None,
    config: str | PathLike[str] | None = None,
    allow_overlap: bool = False,
    strict: bool = False,
    set: Mapping[str, Any] | None = None,
    features: str | PathLike[str] | None = None,
    show_groups: bool = False,
    quiet: bool = True,
) -> Evaluations:
    """Measures a run beside the weights that it started from, or initial weights alone.

    The arguments are the flags of `ssl-kit evaluate`. A fine-tuned classifier is tested by its own
    predictions unless `evaluation` names others. The folder of the run gets evaluations/NAME.json.

    Returns:
        The results by name of the evaluation; printed, they are a table.
    """
    given = below_flags(locals(), [model])
    command, images = command_of(evaluate, locals()), of_images(given)
    own = evaluation in ("", NAME) and isinstance(run_of(fspath(model)), TunedRun)
    if own:
        refuse_options(set)
    chosen = {} if own else choose(evaluation or "knn,linear", set)
    with shown("opening the images", quiet):
        images |= {"features": Path(features) if features else None, "settings": given["set"]}
        prepared = prepare(fspath(model), **images, evaluations=chosen.values())
        if own:
            results = [evaluate_predictions(prepared, command)]
        else:
            results = evaluate_beside_start(prepared, chosen, command)
    names = names_of_groups(prepared.data.dataset.index) if show_groups else {}
    return Evaluations(results, prepared.shared, prepared.images, names)
