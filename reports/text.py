"""The texts that commands end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..evaluation.result import Result, verdict
from ..evaluation.side_by_side import SideBySide
from ..training.run import Run


def trained(run: Run, watched: str) -> str:
    """Says where the encoder is, how to load it, and what to do next."""
    facts = run.read_json("encoder.json")
    manifest = run.read_json("manifest.json")
    skipped = manifest["skipped"]
    lines = [
        f"Collapse watch: {watched}."
        + (f" {skipped} images were skipped, see {run.skipped}." if skipped else ""),
        f"The encoder is in {run.encoder}. Load it with",
        *(f"    {line}" for line in how_to_load(run, facts)),
        "Did it help? Ask",
        f"    ssl-kit evaluate {run.folder}",
        "What happened? Look at",
        f"    ssl-kit report {run.folder}",
    ]
    return "\n".join(lines)


def how_to_load(run: Run, facts: Mapping[str, Any]) -> list[str]:
    """Returns lines of Python that load a run's encoder: plain timm's for an architecture of its.

    Args:
        run: With an encoder.
        facts: Its encoder.json.
    """
    name = facts["architecture"]
    if "/" in name:  # of a family that a plugin registered
        return ["import ssl_kit", f'encoder = ssl_kit.load("{run.folder}").model.encoder.body']
    arguments = ", ".join(f"{name}={value!r}" for name, value in facts["arguments"].items())
    return [f'timm.create_model("{name}", {arguments}, checkpoint_path="{run.encoder}")']


def evaluation_json(comparisons: Sequence[SideBySide], shared: int) -> dict[str, Any]:
    """Returns everything that was found as plain values."""
    return {
        "overlapping_groups": shared,
        "evaluations": {
            c.evaluation: {
                "models": {name: result.to_json() for name, result in c.results.items()},
                "gain": asdict(c.gain) if c.gain else None,
                "gains": {metric: asdict(gain) for metric, gain in c.gains.items()},
                "wilcoxon_p": c.p,
            }
            for c in comparisons
        },
    }


def evaluation(comparisons: Sequence[SideBySide], shared: int) -> str:
    """Returns a table for each evaluation: metrics down, encoders and the gain across."""
    lines = ["percent, with 95 % intervals; * is what the verdict goes by"]
    if shared:
        lines.append(
            f"WARNING: {shared} test groups were pre-trained on; these figures flatter the run."
        )
    for comparison in comparisons:
        lines += ["", *_table(comparison)]
        if comparison.gain:
            lines.append(f"  Pre-training: {_VERDICTS[verdict(comparison.gain)]}.")
        if comparison.p is not None:
            lines.append(f"  Wilcoxon signed-rank test: p = {comparison.p:.2g}.")
        lines += _groups(comparison)
    return "\n".join(lines)


_VERDICTS = {
    "helps": "helped",
    "hurts": "hurt",
    "no evidence": "no evidence of a difference",
}


def _table(comparison: SideBySide) -> list[str]:
    first = next(iter(comparison.results.values()))
    names = [name[:22] for name in comparison.results]
    rows = [[comparison.evaluation, *names, *(["gain"] if comparison.gains else [])]]
    for metric in _shown(first):
        mark = " *" if metric == first.main else ""
        found = [result.metrics[metric] for result in comparison.results.values()]
        found += [comparison.gains[metric]] if comparison.gains else []
        rows.append([f"  {metric}{mark}", *(e.text(percent=bool(first.main)) for e in found)])
    widths = [2 + max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]


def _groups(comparison: SideBySide) -> list[str]:
    """Returns remarks, and a row for each group where an evaluation has rows of groups."""
    found = comparison.results.values()
    first = next(iter(found))
    lines = [f"  {remark}" for remark in first.details.get("remarks", ())]
    if not first.details.get("groups"):
        return lines
    lines.append(f"  group   images  {first.main} of each group, encoders as above")
    for number, row in enumerate(first.details["groups"]):
        scores = (f"{100 * result.by_group[number]:.1f}" for result in found)
        lines.append(f"  {row['group']:<6}{row['images']:>8}  {'  '.join(scores)}")
    return lines


def _shown(result: Result) -> list[str]:
    """Names the metrics to print: of several settings the main one's, "accuracy@10", ..., only."""
    kind, at, _ = result.main.partition("@")
    return [m for m in result.metrics if not at or m.startswith(f"{kind}@")]


def table(values: Mapping[str, Any]) -> str:
    """Returns the arms and their differences by budget, in percent with 95 % intervals."""
    budgets = [budget["name"] for budget in values["budgets"]]
    main, seeds = values["main"], values["seeds"]
    lines = [f"{main} in percent, mean of {seeds} seeds, with 95 % intervals over groups and seeds"]
    if values["leak"]["shared"]:
        lines.append(f"WARNING: {values['leak']['statement']}")
    rows = [["", *(_heading(budget) for budget in values["budgets"])]]
    found = {(row["arm"], row["budget"]): row["metrics"].get(main) for row in values["results"]}
    for arm in values["arms"]:
        cells = [_percent(found.get((arm["name"], budget))) for budget in budgets]
        rows.append([f"{arm['name']} ({arm['evaluation']})", *cells])
    pairs: dict[str, list[str]] = {}
    for pair in values["differences"]:
        cell = f"{_percent(pair['metrics'].get(main), '+')} {pair['verdict']}"
        pairs.setdefault(f"{pair['arm']} against {pair['against']}", []).append(cell)
    rows += [[""], *([name, *cells] for name, cells in pairs.items())]
    lines += ["", *_aligned(rows)]
    missing = [arm for arm in values["arms"] if arm["unavailable"]]
    lines += [f"'{arm['name']}' is not compared: {arm['unavailable']}" for arm in missing]
    return "\n".join(lines)


def _heading(budget: Mapping[str, Any]) -> str:
    labels = budget["labels"]
    mean = f", {np.mean(labels):.0f} labels" if labels else ""
    return f"{budget['name']}{mean}"


def _percent(estimate: Mapping[str, float | None] | None, sign: str = "") -> str:
    if estimate is None or estimate["value"] is None:
        return "-"
    value, low, high = (
        "?" if estimate[end] is None else f"{100 * float(estimate[end] or 0):{sign}.1f}"
        for end in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [
        2 + max(len(row[i]) for row in rows if len(row) > i) for i in range(max(map(len, rows)))
    ]
    return ["".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip() for row in rows]
