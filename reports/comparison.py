"""The words and the table of a comparison, from the content of its compare.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from .class_words import constant_predictions, main_metric_reason
from .measures import measures_table
from .metrics import order_of_grades
from .tables import in_blocks
from .words import (
    OPPOSITE,
    VERDICTS,
    estimate_text,
    is_start,
    leak_statement,
    listed,
    no_verdict,
    plural,
    sentence_case,
    short_training,
    tested_on,
)

Json = Mapping[str, Any]
MARK = " *"
"""Behind a verdict that rests on an arm that was still improving at its last epoch."""
_CONTROLS = {"handcrafted": "hand-crafted descriptors", "start": "the weights it started from"}
_KEPT = "(It kept the weights that it started from.)"
_LONGER = 4  # times as many epochs


def table(values: Mapping[str, Any]) -> str:
    """Returns the arms of a comparison and their differences by label budget.

    Args:
        values: Content of compare.json.
    """
    budgets = [budget["name"] for budget in values["budgets"]]
    main, seeds = values["main"], plural(values["seeds"], "seed")
    shared = values["leak"]["shared"]
    warnings = [f"WARNING: {leak_statement(shared)}"] if shared else []
    missing = [arm for arm in values["arms"] if arm["unavailable"]]
    missing = [f"'{arm['name']}' is not compared: {arm['unavailable']}" for arm in missing]
    if not main:
        lines = measures_table(values, _columns(values)) if values["results"] else []
        return "\n".join([*lines, *warnings, *comparison_notes(values), *missing]).rstrip()
    lines = [f"{main} in percent, mean of {seeds}, with 95 % intervals over {covered(values)}"]
    lines += warnings
    rows = [["", *(_heading(values, budget) for budget in values["budgets"])]]
    estimates = {(row["arm"], row["budget"]): row["metrics"].get(main) for row in values["results"]}
    for arm in values["arms"]:
        cells = [estimate_text(estimates.get((arm["name"], budget))) for budget in budgets]
        rows.append([f"{arm['name']} ({arm['evaluation']})", *cells])
    lines += ["", *in_blocks(rows), ""]
    pairs: dict[str, list[str]] = {}
    for pair in shown_pairs(values):
        difference = estimate_text(pair["metrics"].get(main), signed=True)
        cell = f"{difference} {pair['verdict']}{mark(values, pair)}"
        pairs.setdefault(f"{pair['arm']} against {pair['against']}", []).append(cell)
    lines += [*in_blocks([rows[0], *([name, *cells] for name, cells in pairs.items())]), ""]
    return "\n".join([*lines, *_over_descriptors(values), *comparison_notes(values), *missing])


def _columns(values: Json) -> list[str]:
    """Returns the arm of each result, and its label budget if there are several."""
    names = {b["name"]: f" ({budget_words(values, b['name'])})" for b in values["budgets"]}
    several = len(names) > 1
    return [row["arm"] + (names[row["budget"]] if several else "") for row in values["results"]]


def comparison_notes(values: Mapping[str, Any]) -> list[str]:
    """Returns sentences on what the verdicts of a comparison rest on.

    Args:
        values: Content of compare.json.
    """
    runs = [arm for arm in values["arms"] if arm["kind"] == "run"]
    of_starts = [is_start(f"'{arm['name']}'") for arm in runs if _kept_start(arm)]
    if not values["main"]:
        return of_starts
    data, verdicts = values["data"], {pair["verdict"] for pair in values["differences"]}
    notes = [tested_on(data["test"], data["test_groups"])]
    notes.append(order_of_grades(data["grades"]))
    notes.append(main_metric_reason(values["main"], _classes(values), unit_of(values)))
    notes += _constant(values)
    if "no verdict" in verdicts:
        groups = min(p["groups"] for p in values["differences"] if p["verdict"] == "no verdict")
        notes.append(f"{sentence_case(no_verdict(groups))}.")
    notes += of_starts
    for arm in runs:
        short = short_training(arm["pretraining"])
        if short and "no evidence" in _verdicts(values, arm["name"]):
            notes.append(f"'{arm['name']}': {short}")
    notes += _still_improving(values)
    notes += [_one_pretraining(runs), _seeds(values)]
    return [note for note in notes if note]


def _one_pretraining(runs: Sequence[Json]) -> str:
    """Says which runs were pre-trained once; "" if there are none."""
    single = [f"'{arm['name']}'" for arm in runs if not arm.get("seeds")]
    if not single:
        return ""
    which = "A run" if len(single) == len(runs) else listed(single)
    verb = "is" if len(single) == 1 or which == "A run" else "are each"
    return f"{which} {verb} one pre-training: intervals do not cover other seeds of it."


def _kept_start(arm: Json) -> bool:
    """Tells whether an arm is a run that handed back the weights it started from."""
    return bool(arm["kind"] == "run" and arm["pretraining"].get("kept") == 0)


def _verdicts(values: Json, arm: str) -> set[str]:
    """Returns the verdicts of the differences of an arm."""
    pairs = values["differences"]
    return {pair["verdict"] for pair in pairs if arm in (pair["arm"], pair["against"])}


def covered(values: Json) -> str:
    """Says what the intervals of a comparison cover."""
    counted = any(pair["seeds_counted"] for pair in values["differences"])
    return "test groups and seeds" if counted else "test groups"


def _seeds(values: Json) -> str:
    """Says which intervals do not cover the choice of seeds; "" if all do that seeds change."""
    if values["seeds"] == 1:
        return (
            "There is one seed: intervals do not cover other draws of labels and weights. Give "
            "--seeds 3."
        )
    both = [*values["results"], *values["differences"]]
    budgets = dict.fromkeys(e["budget"] for e in both if e["seeds_counted"] is False)
    if not budgets:
        return ""
    at = listed([budget_words(values, budget) for budget in budgets])
    return (
        f"Some intervals with {at} are for these seeds only, because {values['seeds']} seeds of so "
        "few arms do not tell how much seeds differ. Give --seeds 3 or more."
    )


def _classes(values: Json) -> Sequence[Json]:
    """Returns a row for each class with its number of test images; none without results."""
    rows: Sequence[Json] = next((row["classes"] for row in values["results"]), ())
    return rows


def unit_of(values: Json) -> str:
    """Returns what the predictions are of: "image", "bag"."""
    return str(values.get("unit", "image"))


def _constant(values: Json) -> list[str]:
    """Says which arms predict one class for every test image, at which budgets and seeds."""
    notes = []
    for row in values["results"]:
        for predicted in sorted({*row["constant"]} - {""}):
            seeds, of = row["constant"].count(predicted), plural(row["repeats"], "seed")
            [sentence] = constant_predictions({row["arm"]: predicted}, unit_of(values))
            several = f", {seeds} of {of}" if row["repeats"] > 1 else ""
            at = budget_words(values, row["budget"]) + several
            notes.append(f"{sentence.removesuffix('.')} ({at}).")
    return notes


def shown_pairs(values: Json) -> list[Json]:
    """Returns the differences to show; one of two controls, neither of them a run, is left out.

    There are none without a main metric.
    """
    if not values["main"]:
        return []
    kinds = {arm["name"]: arm["kind"] for arm in values["arms"]}
    if "run" not in kinds.values():
        return list(values["differences"])
    shown = []
    for pair in values["differences"]:
        both = {kinds[pair["arm"]], kinds[pair["against"]]}
        if "run" in both or not both & set(_CONTROLS):
            shown.append(pair)
    return shown


def answers(values: Json) -> dict[tuple[str, str], tuple[str, str]]:
    """Says for each run whether it is better than each other arm.

    Args:
        values: Content of compare.json.

    Returns:
        A sentence and a tone ("good", "bad" or ""), by the names of the run and of the other arm.
        Nothing without a main metric.
    """
    if not values["main"]:
        return {}
    kinds = {arm["name"]: arm["kind"] for arm in values["arms"]}
    unchanged = {arm["name"] for arm in values["arms"] if _kept_start(arm)}
    pairs: dict[tuple[str, str], dict[str, list[str]]] = {}
    for difference in values["differences"]:
        verdict, arm, against = (difference[key] for key in ("verdict", "arm", "against"))
        if kinds[arm] != "run" and kinds[against] == "run":
            arm, against, verdict = against, arm, OPPOSITE[verdict]
        if kinds[arm] == "run":
            budgets = pairs.setdefault((arm, against), {})
            words = budget_words(values, difference["budget"]) + mark(values, difference)
            budgets.setdefault(verdict, []).append(words)
    groups = values["data"]["test_groups"]
    found = {}
    for (arm, against), budgets in pairs.items():
        words = pair_sentence(arm, _CONTROLS.get(kinds[against], against), budgets, groups)
        both = (words, _tone(budgets))
        found[arm, against] = (f"{words} {_KEPT}", "") if arm in unchanged else both
    return found


def _tone(budgets: Mapping[str, Sequence[str]]) -> str:
    """Returns "bad" if a run is worse at any budget, else "good" if it is better at any."""
    if "hurts" in budgets:
        return VERDICTS["hurts"].tone
    return VERDICTS["helps"].tone if "helps" in budgets else ""


def _over_descriptors(values: Json) -> list[str]:
    """Says for each run whether it is better than hand-crafted descriptors."""
    names = {arm["name"] for arm in values["arms"] if arm["kind"] == "handcrafted"}
    return [text for (_, other), (text, _) in answers(values).items() if other in names]


def _improving(values: Json) -> dict[tuple[str, str], int]:
    """Returns the epochs of each arm and budget that most seeds still improved at the end of."""
    return {
        (row["arm"], row["budget"]): max(row["of_epochs"])
        for row in values["results"]
        if 2 * sum(map(bool, row.get("improving", ()))) > row["repeats"]
    }


def mark(values: Json, pair: Json) -> str:
    """Returns `MARK` if one of two arms was still improving at its last epoch, else ""."""
    improving = _improving(values)
    both = (pair["arm"], pair["budget"]), (pair["against"], pair["budget"])
    return MARK if any(arm in improving for arm in both) else ""


def _still_improving(values: Json) -> list[str]:
    """Says which arms were still improving at their last epoch, and how to train them longer."""
    arms: dict[str, dict[str, int]] = {}
    for (arm, budget), epochs in _improving(values).items():
        arms.setdefault(arm, {})[budget] = epochs
    notes = []
    for arm, budgets in arms.items():
        lengths = listed([f"{n} epochs with {budget_words(values, b)}" for b, n in budgets.items()])
        longer = _LONGER * max(budgets.values())
        notes.append(
            f"*: '{arm}' was still improving at its last epoch ({lengths}), so that it may be "
            f"better than it seems. Train longer, with --set finetune.epochs={longer}."
        )
    return notes


def _heading(values: Json, budget: Json) -> str:
    labels = budget["labels"]
    words = budget_words(values, budget["name"])
    return f"{words} ({mean(labels):,.0f})" if labels else words


def pair_sentence(arm: str, against: str, budgets: Mapping[str, Sequence[str]], groups: int) -> str:
    """Says at which label budgets an arm is better or worse than another.

    Args:
        arm: Name of the arm.
        against: Name of the other arm.
        budgets: Label budgets in words, by verdict.
        groups: Number of test groups.
    """
    parts = [
        f"{VERDICTS[verdict].than} {against} with {listed(budgets[verdict])}"
        for verdict in VERDICTS
        if verdict in budgets
    ]
    reason = f" ({no_verdict(groups)})" if "no verdict" in budgets else ""
    return f"{arm} is {'; '.join(parts)}{reason}."


def budget_words(values: Json, name: str) -> str:
    """Writes a label budget: "10 labels per class", "50 % of the labels", "all labels".

    Args:
        values: Content of compare.json, whose `budget_unit` says what a number counts.
        name: The budget.
    """
    if name == "all":
        return "all labels"
    unit = values.get("budget_unit", "labels per class")
    return f"{100 * float(name):g} % of the labels" if "." in name else f"{name} {unit}"
