"""The report of `ssl-kit compare`: table, plot and verdicts, from compare.json alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from ...core.errors import DataError
from .charts import Chart, Line, line_chart
from .facts import plural, rows_of

Json = Mapping[str, Any]
FORMAT = 1
_WORDS = {
    "helps": ("better", "good"),
    "hurts": ("worse", "bad"),
    "no evidence": ("no evidence", ""),
}


@dataclass(frozen=True)
class Cell:
    """A figure of a table.

    Attributes:
        value: In percent, "" if there is none.
        interval: "[low, high]", "" if there is none.
        words: A verdict.
        tone: "good", "bad" or "".
    """

    value: str = ""
    interval: str = ""
    words: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table: an arm or a pair, a remark, and a cell per budget."""

    name: str
    note: str
    cells: list[Cell]


def read(folder: Path) -> dict[str, Any]:
    """Reads compare.json of a folder.

    Raises:
        DataError: If it is damaged or of another version.
    """
    file = folder / "compare.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{file}': {error}. Run 'ssl-kit compare' again.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(
            f"'{file}' is not of format {FORMAT}, which this version reads. Run 'ssl-kit compare' "
            "again."
        )
    return values


def context(values: Json) -> dict[str, Any]:
    """Returns what the template shows."""
    budgets = [b["name"] for b in values["budgets"]]
    main = values["main"] or next((name for r in values["results"] for name in r["metrics"]), "")
    return {
        "facts": _facts(values),
        "headings": [_heading(b) for b in values["budgets"]],
        "metric": main.replace("_", " "),
        "arms": [_arm(values, arm, budgets, main) for arm in values["arms"]],
        "pairs": _pairs(values, budgets, main),
        "answers": _answers(values),
        "chart": _chart(values, main),
        "metrics": _all_metrics(values),
        "matrices": _matrices(values),
        "classes": values["data"]["classes"],
        "leak": values["leak"]["statement"],
        "leaked": bool(values["leak"]["shared"]),
        "seeds": values["seeds"],
        "command": values["command"],
        "settings": list(rows_of(values["settings"])),
        "versions": list(rows_of(values["versions"])),
        "hardware": list(rows_of(values["hardware"])),
    }


def _facts(values: Json) -> list[tuple[str, str]]:
    data = values["data"]
    return [
        ("Domain", data["domain"]),
        ("Encoder", f"{values['encoder']}, {values['image_size']} px"),
        ("Evaluation", values["evaluation"]),
        ("Draws of labels and weights", str(values["seeds"])),
        ("To learn from", plural(data["train"] + data["val"], "image")),
        ("Tested on", f"{plural(data['test'], 'image')} of {plural(data['test_groups'], 'group')}"),
        ("Classes", str(len(data["classes"]))),
        ("Made", values["time"].replace("T", " ")),
    ]


def _heading(budget: Json) -> tuple[str, str]:
    """Returns a budget in words, and how many labels it bought, "" if nothing was computed."""
    name, labels = str(budget["name"]), budget["labels"]
    words = f"{100 * float(name):g} % of the labels" if "." in name else f"{name} labels a class"
    count = f"{mean(labels):,.0f} labels" if labels else ""
    return ("all labels" if name == "all" else words), count


def _percent(estimate: Json | None, sign: str = "") -> tuple[str, str]:
    """Writes an estimate in percent: the value, and its interval."""
    if not estimate or estimate["value"] is None:
        return "", ""
    value, low, high = (estimate[end] for end in ("value", "low", "high"))
    interval = (
        "" if low is None or high is None else f"[{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
    )
    return f"{100 * value:{sign}.1f}", interval


def _arm(values: Json, arm: Json, budgets: Sequence[str], main: str) -> Row:
    found = {
        r["budget"]: r["metrics"].get(main) for r in values["results"] if r["arm"] == arm["name"]
    }
    best = {
        budget: max(
            (r["metrics"][main]["value"] for r in values["results"]
             if r["budget"] == budget and r["metrics"].get(main)), default=None
        )
        for budget in budgets
    }  # fmt: skip
    note = f"not compared: {arm['unavailable']}" if arm["unavailable"] else _note(arm)
    cells = []
    for budget in budgets:
        estimate = found.get(budget)
        top = estimate is not None and estimate["value"] == best[budget]
        cells.append(Cell(*_percent(estimate), tone="best" if top else ""))
    return Row(arm["name"], note, cells)


def _note(arm: Json) -> str:
    leak = (
        f"; {arm['shared_test_groups']} test groups were pre-trained on"
        if arm["shared_test_groups"]
        else ""
    )
    return f"{arm['evaluation']}; {arm['weights']}{leak}"


def _pairs(values: Json, budgets: Sequence[str], main: str) -> list[Row]:
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    for d in values["differences"]:
        words, tone = _WORDS[d["verdict"]]
        p = d["wilcoxon_p"]
        words += f", p {p:.2g}" if p is not None else ""
        cell = Cell(*_percent(d["metrics"].get(main), "+"), words=words, tone=tone)
        cells.setdefault((d["arm"], d["against"]), {})[d["budget"]] = cell
    return [
        Row(arm, f"against {against}", [found.get(budget, Cell()) for budget in budgets])
        for (arm, against), found in cells.items()
    ]


def _answers(values: Json) -> list[tuple[str, str]]:
    """Says of each run what it gained over each other arm, with a tone."""
    runs = {arm["name"] for arm in values["arms"] if arm["kind"] == "run"}
    headings = {b["name"]: _heading(b)[0] for b in values["budgets"]}
    pairs: dict[tuple[str, str], dict[str, list[str]]] = {}
    for d in values["differences"]:
        verdict, arm, against = d["verdict"], d["arm"], d["against"]
        if arm not in runs and against in runs:
            arm, against = against, arm
            verdict = {"helps": "hurts", "hurts": "helps"}.get(verdict, verdict)
        if arm in runs:
            found = pairs.setdefault((arm, against), {})
            found.setdefault(verdict, []).append(headings[d["budget"]])
    return [(_sentence(*pair, found), _tone(found)) for pair, found in pairs.items()]


def _sentence(arm: str, against: str, found: Mapping[str, Sequence[str]]) -> str:
    parts = [
        f"{words} with {', '.join(found[verdict])}"
        for verdict, words in (
            ("helps", "better"),
            ("hurts", "worse"),
            ("no evidence", "no evidence of a difference"),
        )
        if verdict in found
    ]
    return f"{arm} against {against}: {'; '.join(parts)}."


def _tone(found: Mapping[str, Sequence[str]]) -> str:
    if "hurts" in found:
        return "bad"
    return "good" if "helps" in found else ""


def _chart(values: Json, main: str) -> Chart | None:
    """Draws the metric against the number of labels, a line per arm, with intervals."""
    labels = {b["name"]: mean(b["labels"]) for b in values["budgets"] if b["labels"]}
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
    title = f"{main.replace('_', ' ').capitalize()} in percent against the number of labels"
    return line_chart(
        title, lines, x_label="labels", log_x=True, size=(640, 380), box=(70, 12, 616, 336),
        x_marks=[(x, f"{x:,.0f}") for x in sorted(set(labels.values()))],
        show=lambda value: f"{value:.1f}", dodge=7,
    )  # fmt: skip


def _all_metrics(values: Json) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """Tabulates every metric: their names, and arm, budget and texts of each row."""
    names = list(dict.fromkeys(name for r in values["results"] for name in r["metrics"]))
    headings = {b["name"]: _heading(b)[0] for b in values["budgets"]}
    rows = [
        (r["arm"], headings[r["budget"]], [_percent(r["metrics"].get(name))[0] for name in names])
        for r in values["results"]
    ]
    return [name.replace("_", " ") for name in names], rows


def _matrices(values: Json) -> list[tuple[str, list[list[int]]]]:
    """Returns the confusion matrix of each arm at the last budget."""
    last = values["budgets"][-1]["name"]
    return [
        (r["arm"], r["confusion"])
        for r in values["results"]
        if r["budget"] == last and r["confusion"]
    ]
