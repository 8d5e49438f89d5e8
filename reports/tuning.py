"""The text of a search for settings, from the content of tune.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .tables import aligned
from .words import estimate_text, listed, no_verdict, plural, spaced

Json = Mapping[str, Any]
_ROWS = 12  # candidates in the terminal; the page and tune.json have all


def tuned(values: Json, out: Path) -> str:
    """Returns the table of a search, what came of it, and what to do next.

    Args:
        values: Content of tune.json.
        out: Folder of the search.
    """
    rows = table(values)
    kept = len(values["starts"]) + 1
    hidden = len(rows) - kept - _ROWS
    lines = [heading(values), "", *aligned(rows[: kept + _ROWS])]
    lines += (
        [f"  {plural(hidden, 'more candidate')} in {out / 'report.html'}"] if hidden > 0 else []
    )
    lines += ["", *verdicts(values), ""]
    lines += [
        f"The table and a picture are in {out / 'report.html'}. To train with these settings, run",
        f"    ssl-kit train --config {out / 'config.toml'} --data PATH",
    ]
    return "\n".join(lines)


def heading(values: Json) -> str:
    """Returns a sentence on what the figures of the table are."""
    images = values["images"]
    tried = f"{plural(len(values['candidates']), 'candidate')} in {minutes(values['seconds'])}"
    if not values["labeled"]:
        return (
            f"{tried}. The figures are view retrieval in percent: of "
            f"{plural(images['validation'], 'training image')}, how often the features of a random "
            "view are nearest to those of another view of the image."
        )
    judged = f"{plural(images['validation'], 'image')} of {plural(images['groups'], 'group')}"
    seen = images.get("seen_groups")
    apart = (
        f"of which the initial weights have seen {plural(seen, 'group')}"
        if seen
        else "which no candidate was pre-trained on"
    )
    return (
        f"{tried}. The figures are {spaced(values['metric'])} in percent of ridge classifiers on "
        f"the validation part ({judged}), {apart}: the mean of one that learned "
        "from all labels of the training part and of five that learned from ten labels of each "
        "class, if there are more. The test part "
        f"({plural(images['kept_out'], 'image')}) was not used."
    )


def table(values: Json) -> list[list[str]]:
    """Returns the rows of the table: heading, untouched starts, candidates, the best first."""
    rungs = len(values["plan"]["candidates"])
    seeds = len(values["final_seeds"])
    final = f"new seeds ({seeds})" if seeds else "last rung"
    rows = [["candidate", *(f"rung {k + 1}" for k in range(rungs)), final, "images", ""]]
    for start in values["starts"]:
        name = f"untouched start: {start_name(start)}"
        rows.append([name, *[""] * rungs, estimate_text(start["estimate"]), "", ""])
    for row in values["candidates"]:
        rung_texts = [number(value) for value in row["rungs"]]
        rung_texts += [""] * (rungs - len(rung_texts))
        estimate = estimate_text(row["final"]) if row["final"] else ""
        kept, runs = row["kept_start"]
        marks = ["winner"] if row["number"] == values["winner"] else []
        marks += [f"kept its start in {kept} of {plural(runs, 'run')}"] if kept else []
        mark = f"failed: {row['failed']}" if row["failed"] else ", ".join(marks)
        name = f"{row['number']}: {row['changes']}"
        rows.append([name, *rung_texts, estimate, f"{row['images']:,}", mark])
    return rows


def start_name(start: Json) -> str:
    """Names the weights and the image size of an untouched start."""
    init = start["init"]
    weights = "random weights" if init == "scratch" else Path(init).name
    return f"{weights}, {start['image_size']} px"


def number(value: float | None) -> str:
    """Writes a value of the metric that candidates are ranked by."""
    return "-" if value is None else f"{100 * value:.1f}"


def minutes(seconds: float) -> str:
    """Writes a duration in words."""
    if seconds < 90:
        return plural(round(seconds), "second")
    return plural(round(seconds / 60), "minute")


def verdicts(values: Json) -> list[str]:
    """Returns sentences: the winner, and whether it beats the default and the untouched start."""
    names = {row["number"]: row["changes"] for row in values["candidates"]}
    winner, gains = values["winner"], values["gains"]
    sentences = [
        f"Winner: candidate {winner} ({names[winner]})." if winner else "The default is kept."
    ]
    if not values["labeled"]:
        sentences.append(_without_labels(values["trusted"]))
    if "default" in gains:
        sentences.append(_sentence(gains["default"], "the default", values))
    elif winner:
        sentences.append("The default could not be trained.")
    if "other" in gains:
        other = gains["other"]
        gap = estimate_text(other, signed=True)
        sentences.append(
            f"The best other candidate ({other['number']}: {names[other['number']]}) differs from "
            f"it by {gap} points, which is within the noise or worse."
        )
    start = gains["start"]
    sentences.append(_sentence(start, f"the best untouched start ({start_name(start)})", values))
    kept, runs = next(r["kept_start"] for r in values["candidates"] if r["number"] == winner)
    if kept:
        sentences.append(
            f"In {kept} of its last {plural(runs, 'run')} it handed back its start, because "
            "training did not make it better."
        )
    elif start["verdict"] == "hurts":
        sentences.append("Use the start as it is: short pre-training made it worse here.")
    if not values["final_seeds"]:
        sentences.append(
            "The best were not repeated with new seeds, because time was short or all of them "
            "failed: these figures are of the runs that they were chosen by, and too optimistic."
        )
    return sentences


def _without_labels(trusted: bool) -> str:
    """Says how far a search without labels can be trusted."""
    beyond = (
        " Of two settings of one objective it was in about two of three, so a winner with other "
        "settings may be worse than the default."
        if trusted
        else ""
    )
    return (
        "There were too few labels to judge by. Of two objectives the one that finds more views "
        "was the better one by labels in more than nine of ten cases where the difference exceeded "
        f"the noise (docs/label_free.md).{beyond}"
    )


def _sentence(gain: Json, other: str, values: Json) -> str:
    """Says whether the winner is better than something, with the paired difference."""
    is_better, is_worse = ("is better", "is worse")
    if not values["labeled"]:
        is_better, is_worse = ("finds more views", "finds fewer views")
    reason = no_verdict(values["images"]["groups"], "validation group")
    words = {
        "helps": f"It {is_better} than {other}",
        "hurts": f"It {is_worse} than {other}",
        "no evidence": f"It {is_better.replace(' ', ' no ', 1)} than {other} within the noise",
        "no verdict": f"Against {other} there is {reason}",
    }
    return f"{words[gain['verdict']]}: {estimate_text(gain, signed=True)} points."


def importance(values: Json) -> str:
    """Says in a sentence which settings mattered most in the first rung."""
    shares = sorted(values["importance"].items(), key=lambda item: -item[1])
    parts = [f"{key} ({100 * share:.0f} %)" for key, share in shares[:3]]
    return f"Most of the differences come from {listed(parts)}." if parts else ""
