"""The page of a comparison: tables, plot and verdicts, from compare.json alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from ...core.errors import DataError
from ..class_words import positive_class
from ..comparison import (
    answers,
    budget_words,
    comparison_notes,
    covered,
    mark,
    shown_pairs,
    unit_of,
)
from ..measures import mean_of
from ..metrics import at_threshold, direction, is_share
from ..words import (
    VERDICTS,
    estimate_parts,
    leak_statement,
    leak_warning,
    p_value,
    plural,
    sentence_case,
    short_verdict,
    spaced,
)
from .charts import Chart, Line, line_chart
from .facts import rows_of

Json = Mapping[str, Any]
FORMAT = 3


@dataclass(frozen=True)
class Cell:
    """An estimate in a table.

    Attributes:
        value: In percent, "" if there is none.
        interval: "[low, high]", "" if there is none.
        words: Verdict and p-value of a difference.
        tone: "good", "bad", "best" or "".
    """

    value: str = ""
    interval: str = ""
    words: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table: an arm or a pair of arms, a remark, and a cell per label budget."""

    name: str
    note: str
    cells: list[Cell]


def read(folder: Path) -> dict[str, Any]:
    """Reads compare.json of a folder.

    Raises:
        DataError: If it is damaged or has another format.
    """
    file = folder / "compare.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{file}': {error}. Run 'ssl-kit compare' again.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(
            f"'{file}' does not have format {FORMAT}, which this version reads. Run 'ssl-kit "
            "compare' again."
        )
    return values


def context(values: Json) -> dict[str, Any]:
    """Returns the values of the template."""
    budgets = [b["name"] for b in values["budgets"]]
    main = values["main"]
    return {
        "anchor": "",
        "facts": _facts(values),
        "headings": [_heading(values, b) for b in values["budgets"]],
        "metric": spaced(main),
        "mean_of": mean_of(values),
        "arms": [_arm(values, arm, budgets, main) for arm in values["arms"]],
        "notes": [(arm["name"], _note(arm)) for arm in values["arms"]],
        "pairs": _pairs(values, budgets, main),
        "answers": list(answers(values).values()),
        "chart": _chart(values, main),
        "metrics": _all_metrics(values),
        "matrices": _matrices(values),
        "classes": values["data"]["classes"],
        "remarks": comparison_notes(values),
        "positive": positive_class(values["data"]["positive"], unit=unit_of(values)),
        "leak": leak_statement(values["leak"]["shared"], values["leak"].get("earlier", ())),
        "leaked": bool(values["leak"]["shared"]),
        "covered": covered(values),
        "seeds": plural(values["seeds"], "seed"),
        "command": values["command"],
        "settings": list(rows_of(values["settings"])),
        "versions": list(rows_of(values["versions"])),
        "hardware": list(rows_of(values["hardware"])),
    }


def _facts(values: Json) -> list[tuple[str, str]]:
    data = values["data"]
    test = f"{plural(data['test'], 'image')} of {plural(data['test_groups'], 'group')}"
    return [
        ("Domain", data["domain"]),
        ("Encoder", f"{values['encoder']}, {values['image_size']} px"),
        ("Evaluation", values["evaluation"]),
        ("Seeds of labels and weights", str(values["seeds"])),
        ("Training and validation set", plural(data["train"] + data["val"], "image")),
        ("Test set", test),
        ("Classes", str(len(data["classes"]))),
        ("Compared", values["time"].replace("T", " ")),
    ]


def _heading(values: Json, budget: Json) -> tuple[str, str]:
    """Returns a budget in words, and its number of labels, "" if nothing was computed."""
    labels = budget["labels"]
    words = budget_words(values, budget["name"])
    return words, f"{mean(labels):,.0f} labels" if labels else ""


def _arm(values: Json, arm: Json, budgets: Sequence[str], main: str) -> Row:
    """Returns the row of an arm; the best arm of each budget is marked."""
    cells = []
    for budget in budgets:
        estimates = {
            result["arm"]: result["metrics"][main]
            for result in values["results"]
            if result["budget"] == budget and result["metrics"].get(main)
        }
        best = max((estimate["value"] for estimate in estimates.values()), default=None)
        estimate = estimates.get(arm["name"])
        is_best = estimate is not None and estimate["value"] == best
        cells.append(Cell(*estimate_parts(estimate), tone="best" if is_best else ""))
    return Row(arm["name"], "not compared" if arm["unavailable"] else arm["evaluation"], cells)


def _note(arm: Json) -> str:
    """Says which weights an arm has, or why it was not compared, and warns of leakage."""
    if arm["unavailable"]:
        return f"not compared. {arm['unavailable']}"
    shared = arm["shared_test_groups"]
    return f"{arm['weights']}." + (f" {leak_warning(shared)}" if shared else "")


def _pairs(values: Json, budgets: Sequence[str], main: str) -> list[Row]:
    """Returns a row of differences for each pair of arms."""
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    for difference in shown_pairs(values):
        verdict, p = VERDICTS[difference["verdict"]], difference["p_value"]
        short = short_verdict(difference["verdict"], difference["groups"])
        words = ", ".join([short, *([p_value(p)] if p is not None else [])])
        words += mark(values, difference)
        parts = estimate_parts(difference["metrics"].get(main), signed=True)
        pair = cells.setdefault((difference["arm"], difference["against"]), {})
        pair[difference["budget"]] = Cell(*parts, words=words, tone=verdict.tone)
    return [
        Row(arm, f"against {against}", [pair.get(budget, Cell()) for budget in budgets])
        for (arm, against), pair in cells.items()
    ]


def _chart(values: Json, main: str) -> Chart | None:
    """Draws the metric against the number of labels, a line per arm.

    None for one budget, and without a main metric.
    """
    labels = {b["name"]: mean(b["labels"]) for b in values["budgets"] if b["labels"]}
    if len(set(labels.values())) < 2 or not main:
        return None
    lines = []
    for arm in values["arms"]:
        rows = [
            (labels[r["budget"]], r["metrics"][main])
            for r in values["results"]
            if r["arm"] == arm["name"] and r["metrics"].get(main) and r["budget"] in labels
        ]
        rows.sort(key=lambda row: row[0])
        points = [(x, 100 * e["value"]) for x, e in rows]
        bars = [
            tuple(100 * (e["value"] if e[end] is None else e[end]) for end in ("low", "high"))
            for _, e in rows
        ]
        lines.append(Line(arm["name"], points, bars, dots=True))
    title = f"{sentence_case(spaced(main))} in percent against the number of labels"
    return line_chart(
        title,
        lines,
        x_label="labels",
        log_x=True,
        size=(640, 380),
        box=(70, 12, 616, 336),
        x_marks=[(x, f"{x:,.0f}") for x in sorted(set(labels.values()))],
        show=lambda value: f"{value:.1f}",
        dodge=7,
        better="higher is better",
    )


def _all_metrics(values: Json) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """Tabulates every metric: their names, and arm, budget and values of each row."""
    names = list(dict.fromkeys(name for r in values["results"] for name in r["metrics"]))
    rows = []
    for result in values["results"]:
        given = result["metrics"]
        percents = [bool(values["main"]) and is_share(name) for name in names]
        pairs = zip(names, percents, strict=True)
        texts = [estimate_parts(given.get(name), percent)[0] for name, percent in pairs]
        rows.append((result["arm"], budget_words(values, result["budget"]), texts))
    return [spaced(name) + direction(name) + at_threshold(name) for name in names], rows


def _matrices(values: Json) -> list[tuple[str, list[list[int]]]]:
    """Returns the confusion matrix of each arm at the last label budget."""
    last = values["budgets"][-1]["name"]
    return [
        (r["arm"], r["confusion"])
        for r in values["results"]
        if r["budget"] == last and r["confusion"]
    ]
