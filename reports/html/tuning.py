"""The page of a search for settings: table, what mattered, and the results by learning rate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from ...core.errors import DataError
from ..tuning import heading, importance, number, table, verdicts
from ..words import sentence_case, spaced
from .charts import Chart, Line, line_chart
from .facts import rows_of

Json = Mapping[str, Any]
FORMAT, LABELED_ONLY = 3, 2  # the earlier one had other figures without labels
_RATE, _OBJECTIVE = "optimizer.lr", "objective.name"
_SIZE, _BOX = (760, 380), (56, 14, 744, 336)


@dataclass(frozen=True)
class Choice:
    """A value of a setting, and the results of the first rung with it."""

    value: str
    count: int
    best: str
    mean: str


def read(folder: Path) -> dict[str, Any]:
    """Reads tune.json of a folder.

    Raises:
        DataError: If it is damaged or has another format.
    """
    file = folder / "tune.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["format"] == FORMAT or (values["format"], values["labeled"]) == (
            LABELED_ONLY,
            True,
        ):
            return dict(values)
        reason = f"it has format {values['format']}, and this version reads {FORMAT}"
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error)
    raise DataError(f"Cannot read '{file}': {reason}. Run 'ssl-kit tune --resume {folder}' again.")


def context(values: Json) -> dict[str, Any]:
    """Returns the values of the template."""
    shares = sorted(values["importance"].items(), key=lambda item: -item[1])
    return {
        "heading": heading(values),
        "judged": "validation groups" if values["labeled"] else "images",
        "answers": verdicts(values),
        "rows": table(values),
        "chart": _by_rate(values),
        "shares": [(key, round(100 * share)) for key, share in shares],
        "importance": importance(values),
        "choices": list(_choices(values)),
        "metric": spaced(values["metric"]),
        "command": values["command"],
        "facts": [
            ("Domain", values["domain"]),
            ("Encoder", values["encoder"]),
            ("Images trained on", f"{values['images']['trained_on']:,}"),
            ("Candidates", str(len(values["candidates"]))),
        ],
        "plan": list(rows_of(values["plan"])),
    }


def _tried(values: Json) -> list[Json]:
    """Returns the candidates that have a result of the first rung."""
    return [row for row in values["candidates"] if row["rungs"] and row["rungs"][0] is not None]


def _by_rate(values: Json) -> Chart | None:
    """Draws the results of the first rung over the learning rate, a color for each objective."""
    rows = _tried(values)
    if _RATE not in values["searched"] or len(rows) < 2:
        return None
    lines = []
    for name in dict.fromkeys(row["params"].get(_OBJECTIVE, "candidates") for row in rows):
        chosen = [row for row in rows if row["params"].get(_OBJECTIVE, "candidates") == name]
        points = sorted((row["params"][_RATE], 100 * row["rungs"][0]) for row in chosen)
        lines.append(Line(str(name), points, dots=True))
    rates = [x for line in lines for x, _ in line.points]
    best = 100 * max(start["estimate"]["value"] for start in values["starts"])
    lines.append(Line("best untouched start", [(min(rates), best), (max(rates), best)]))
    metric = sentence_case(spaced(values["metric"]))
    title = f"{metric} of the first rung over the learning rate as a multiple of the default"
    chart = line_chart(
        title, lines, x_label="lr", log_x=True, better="higher is better", size=_SIZE, box=_BOX
    )
    return chart and replace(
        chart, lines=[replace(line, path="") if line.marks else line for line in chart.lines]
    )


def _choices(values: Json) -> Iterator[tuple[str, list[Choice]]]:
    """Yields each setting with choices, and what was tried of it."""
    rows = _tried(values)
    for key in values["searched"]:
        found: dict[str, list[float]] = {}
        for row in rows:
            found.setdefault(_text(row["params"][key]), []).append(row["rungs"][0])
        if key not in (_RATE, "optimizer.weight_decay") and len(found) > 1:
            yield (
                key,
                [
                    Choice(value, len(each), number(max(each)), number(mean(each)))
                    for value, each in sorted(found.items(), key=lambda item: -max(item[1]))
                ],
            )


def _text(value: Any) -> str:
    return (
        "the objective's" if value is None else Path(value).name if _is_path(value) else str(value)
    )


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()
