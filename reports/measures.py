"""The table of a comparison by an evaluation without a main metric, such as `spectrum`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .metrics import direction
from .tables import in_blocks
from .words import estimate_text, plural


def mean_of(values: Mapping[str, Any]) -> str:
    """Says what the metrics of an evaluation without a main one are, in sentences.

    Args:
        values: Content of compare.json.
    """
    seeds = plural(values["seeds"], "seed")
    return (
        f"Metrics of {values['evaluation']}, mean of {seeds}. The evaluation has no main metric, "
        "so that there are no verdicts."
    )


def measures_table(values: Mapping[str, Any], headings: Sequence[str]) -> list[str]:
    """Returns the lines of a table: metrics down, results across.

    Args:
        values: Content of compare.json.
        headings: Of each result.
    """
    names = dict.fromkeys(name for row in values["results"] for name in row["metrics"])
    given = [row["metrics"] for row in values["results"]]
    rows = [
        [f"  {name}{direction(name)}", *(estimate_text(m.get(name), percent=False) for m in given)]
        for name in names
    ]
    return [mean_of(values), "", *in_blocks([["", *headings], *rows]), ""]
