"""The page of a recipe: its claim, whether the pretext task was learned, its comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...evaluation.checklist import KEPT, NOT_KEPT, UNDECIDED
from ...evaluation.recipe_outcome import read_outcome
from ...evaluation.tuned import TunedRun
from ..recipes import in_recipe, pretext_sentences, title, used
from ..words import sentence_case
from . import comparison
from .classifier import grad_cam_of


def context(folder: Path) -> dict[str, Any]:
    """Returns the values of the template.

    Args:
        folder: Of a recipe that was run.

    Raises:
        DataError: If its files are damaged.
    """
    values = read_outcome(folder)
    compared = []
    for name, asked in values["comparisons"].items():
        shown = comparison.context(comparison.read(folder / asked["folder"]))
        remarks = [in_recipe(remark, name) for remark in shown["remarks"]]
        heading = {"title": sentence_case(name), "about": asked["about"], "anchor": f"-{name}"}
        drawn = {
            run: (folder / tuned, grad_cam_of(TunedRun(folder / tuned)))
            for run, tuned in asked.get("classifiers", {}).items()
        }
        compared.append({**shown, **heading, "remarks": remarks, "gradcam": drawn})
    return {
        "title": title(values),
        "recipe": values,
        "pretext": pretext_sentences(values),
        "used": used(values),
        "compared": compared,
        "facts": _facts(values),
        "tones": {KEPT: "good", NOT_KEPT: "bad", UNDECIDED: ""},
    }


def _facts(values: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (f"Run {name}", f"{run['objective']}, {run['encoder']}, {run['image_size']} px")
        for name, run in values["runs"].items()
    ]
    return [
        *rows,
        ("Images of the paper", values["images"]["paper"]),
        ("Images here", values["images"]["here"]),
        ("Run at", values["time"].replace("T", " ")),
    ]
