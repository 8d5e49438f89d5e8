"""The text of docs/label_free.md, from results of benchmarks/defaults.py and objectives.py."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import mean

from default_runs import JUDGED_AT, Run, gain, grouped, high, low, pixels
from scipy.stats import ConstantInputWarning, spearmanr

LEAST_ACROSS, LEAST_WITHIN = 5, 3  # runs, for a rank correlation
LEAST_OBJECTIVES, LEAST_CORRELATION = 3, 0.6
WATCHED = 256  # images of the collapse watch, at most
ACROSS = "Across objectives"
RETRIEVAL = """## View retrieval before and after a training

*view_retrieval* is the share of images of which the features of one random view are nearest to
those of another view of the same image. Trainings from ImageNet weights, by whether this share rose
or fell by more than two standard errors (of as many images as were watched). *helps* and *hurts*
count where the interval of the gain on all classes lies above or below 0; *gain* is that of the
probe in points, mean over the cuts. **`train` hands back the start if there are too few labels to
judge by, and view retrieval fell** (by a paired interval, on as many images as the time allows).
The measure was chosen when the trainings on rsscn7, lc25000_lung and mstar10 were known. Four
objectives that hurt there (`DOUBTFUL` in benchmarks/default_queue.py) were trained afterwards on
five other sets, to see whether it tells this there as well. All trainings are short: what falls in
a minute and gains in a night would be missed.

| view retrieval | runs | sets | objectives | gain | gains from, to | helps | hurts |
|---|---|---|---|---|---|---|---|"""
PAIRS = """How often the run with the higher view retrieval is the better one by the probe, of two
runs on the same set, from the same start and with the same length and image size, whose view
retrieval differs by more than two standard errors:
"""
MEASURES = """# How far measures without labels can be trusted

This page was written by `python benchmarks/defaults.py table --out {results}`.
Do not edit it.

The collapse watch measures the features and the projections of 256 images (`metrics.jsonl`), and
needs no labels. The tables show how these measures go along with the gain of a probe over the
untouched start, mean over the cuts of the labels (the runs are those of
[defaults.md](defaults.md) and of [objectives.md](objectives.md)). They are Spearman rank
correlations: of the measure at the end and, behind the slash, of its change from the start. 1 or -1
means that the measure orders the runs as the probe does, 0 that it says nothing. In the last column
stands, in parentheses, in how many groups of runs the sign is that of the mean.

*Across objectives*: over all runs of an encoder on a set from the same start with the same length
and image size, mean over the sets of a field. *Within an objective*: over runs of an encoder on a
set with the same image size that differ in settings other than the objective, length or seed, mean
over sets and objectives. A dash means that there are fewer than {across} runs of a set, or {within}
of an objective. A measure is used for a choice without labels only if its correlation has the same
sign in every group and exceeds {correlation} in the mean.
"""


def correlation(runs: Sequence[Run], measure: str, change: bool) -> float | None:
    """Returns the rank correlation of a measure with the gain; None if one of them is constant."""
    gains = [_gain(run) for run in runs]
    before = [run["before"].get(measure, 0.0) if change else 0.0 for run in runs]
    values = [run["after"][measure] - b for run, b in zip(runs, before, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        rho = float(spearmanr(values, gains).statistic)
    return None if rho != rho else rho


def correlations(groups: Sequence[Sequence[Run]], measure: str, count: bool) -> str:
    """Returns the mean correlations of the value and of the change, as a cell.

    Args:
        groups: Runs that are compared with each other.
        measure: Name of the measure.
        count: Whether to add in how many groups the sign is that of the mean.
    """
    having = [[run for run in group if measure in run["after"]] for group in groups]
    texts = []
    for change in (False, True):
        found = [correlation(group, measure, change) for group in having if len(group) > 2]
        known = [rho for rho in found if rho is not None]
        same = sum(rho * mean(known) > 0 for rho in known)
        agree = f" ({same} of {len(known)})" if count else ""
        texts.append(f"{mean(known):+.2f}{agree}" if known else "-")
    return "-" if texts == ["-", "-"] else " / ".join(texts)


def passes(groups: Sequence[Sequence[Run]], measure: str) -> bool:
    """Returns whether a measure at the end of training may be used for a choice."""
    having = [[run for run in group if measure in run["after"]] for group in groups]
    found = [correlation(group, measure, change=False) for group in having if len(group) > 2]
    known = [rho for rho in found if rho is not None]
    alike = len(known) == len(groups) and len({rho > 0 for rho in known}) == 1
    return alike and abs(mean(known)) > LEAST_CORRELATION


def _objectives(runs: Sequence[Run]) -> int:
    return len({_objective(run) for run in runs})


def trainings(lines: Sequence[Run]) -> list[Run]:
    """Returns the trainings that did not fail, and of how many images views were watched.

    Of those that were repeated on other processors it has the first.
    """
    pools = {line["set"]: line["images"]["train"] for line in lines if line["kind"] == "start"}
    done = [line for line in lines if line["kind"] == "run" and not line.get("failed")]
    firsts = [first for first, *_ in grouped(done, _key).values()]
    return [{**run, "watched": min(WATCHED, pools[run["set"]])} for run in firsts]


def _key(run: Run) -> str:
    names = ("set", "start", "length", "round", "settings", "encoder", "seed")
    return json.dumps([run.get(name) for name in names], sort_keys=True)


def retrieval(run: Run, when: str) -> tuple[float, float]:
    """Returns the share of images whose other view is found, and its variance."""
    share = float(run[when]["view_retrieval"])
    return share, share * (1 - share) / run["watched"]


def differs(one: tuple[float, float], other: tuple[float, float]) -> int:
    """Returns 1 if a share is larger than another by two standard errors, -1 if smaller, else 0."""
    change, error = one[0] - other[0], (one[1] + other[1]) ** 0.5
    return int(change > 2 * error) - int(change < -2 * error)


def before_and_after(runs: Sequence[Run]) -> str:
    """Returns a section: what labels say of trainings that raised or lowered view retrieval."""
    rows = [RETRIEVAL]
    for sign, name in ((1, "rose"), (0, "neither"), (-1, "fell")):
        chosen = [
            run
            for run in runs
            if run["start"] == "imagenet"
            and JUDGED_AT not in run["settings"]
            and differs(retrieval(run, "after"), retrieval(run, "before")) == sign
        ]
        if not chosen:
            continue
        gains = [_gain(run) for run in chosen]
        sets, names = ({f(r) for r in chosen} for f in (lambda r: r["set"], _objective))
        helps, hurts = sum(low(run) > 0 for run in chosen), sum(high(run) < 0 for run in chosen)
        worst = f"{min(gains):+.1f} to {max(gains):+.1f}"
        rows.append(
            f"| {name} | {len(chosen)} | {len(sets)} | {len(names)} | {mean(gains):+.1f} | {worst} "
            f"| {helps} | {hurts} |"
        )
    return "\n".join([*rows, ""])


def pairs(groups: Sequence[Sequence[Run]], alike: bool) -> str:
    """Counts of which two runs the one with the higher view retrieval is the better one.

    Args:
        groups: Runs that are compared with each other.
        alike: Whether to compare runs of the same objective, else of different ones.
    """
    gains = [
        sign * (_gain(one) - _gain(other))
        for group in groups
        for one, other in combinations(group, 2)
        if (_objective(one) == _objective(other)) == alike
        and (sign := differs(retrieval(one, "after"), retrieval(other, "after")))
    ]
    better = sum(each > 0 for each in gains)
    what = "the same objective" if alike else "different objectives"
    words = f"by {mean(gains):.1f} points in the mean" if gains else ""
    return f"- Two runs of {what}: in {better} of {len(gains)} pairs, {words}."


def _gain(run: Run) -> float:
    return mean(gain(run, cut, "probe") for cut in run["scores"])


def _objective(run: Run) -> str:
    return str(run["settings"]["objective"])


def table(title: str, groups: Sequence[Sequence[Run]], runs: Sequence[Run]) -> str:
    """Returns a section: the correlations of each measure by field, and which of them passes.

    Args:
        title: Of the section.
        groups: Runs that are compared with each other.
        runs: All runs, which tell the measures and the fields.
    """
    measures = list(dict.fromkeys(name for run in runs for name in run["after"]))
    fields = list(dict.fromkeys(run["field"] for run in runs))
    columns = {f: [g for g in groups if g[0]["field"] == f] for f in fields} | {"all": groups}
    rows = [f"## {title}", "", "| measure | " + " | ".join(columns) + " |"]
    rows.append("|---" * (1 + len(columns)) + "|")
    counts = [f"{len(g)} ({sum(map(len, g))})" for g in columns.values()]
    rows.append("| *groups (runs)* | " + " | ".join(counts) + " |")
    for measure in measures:
        cells = [correlations(g, measure, f == "all") for f, g in columns.items()]
        rows.append(f"| {measure} | " + " | ".join(cells) + " |")
    passed = [f"`{measure}`" for measure in measures if passes(groups, measure)]
    return "\n".join([*rows, "", f"Used for a choice: {', '.join(passed) or 'none'}.", ""])


def label_free_page(lines: Sequence[Run], results: Path) -> str:
    """Returns the text of docs/label_free.md.

    Args:
        lines: Of benchmarks/defaults.py and of benchmarks/objectives.py.
        results: File of the former.
    """
    runs = trainings(lines)
    parts = [
        MEASURES.format(
            results=results, across=LEAST_ACROSS, within=LEAST_WITHIN, correlation=LEAST_CORRELATION
        )
    ]
    kinds = {
        ACROSS: (
            lambda r: (r["set"], r["start"], r["encoder"], r["length"], r.get("round"), pixels(r)),
            LEAST_ACROSS,
        ),
        "Within an objective": (
            lambda r: (r["set"], r["start"], r["encoder"], _objective(r), pixels(r)),
            LEAST_WITHIN,
        ),
    }
    for title, (key, least) in kinds.items():
        groups = [group for group in grouped(runs, key).values() if len(group) >= least]
        if title == ACROSS:
            groups = [group for group in groups if _objectives(group) >= LEAST_OBJECTIVES]
        missing = f"## {title}\n\nNo set has {least} runs of {LEAST_OBJECTIVES} objectives yet.\n"
        parts.append(table(title, groups, runs) if groups else missing)
    alike = grouped([r for r in runs if JUDGED_AT not in r["settings"]], kinds[ACROSS][0])
    compared = [pairs([*alike.values()], alike=each) for each in (False, True)]
    return "\n".join([*parts, before_and_after(runs), PAIRS, *compared, ""])
