"""The words on a recipe that was run, from its recipe.json and the comparisons below it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.recipe_outcome import read_outcome
from ..training.pretext import LEARNED, TRAINING
from .citations import citation
from .comparison import table
from .html import comparison
from .words import sentence_case

Json = Mapping[str, Any]
_MINUTE = 60
_LATER = "on images after those of pre-training"


def finished(folder: Path) -> str:
    """Returns what a recipe has shown, for the terminal.

    Args:
        folder: Of a recipe that was run.
    """
    values = read_outcome(folder)
    lines = [title(values), f"Claim: {values['claim']}", ""]
    lines += [sentence for _, sentence, _ in pretext_sentences(values)]
    lines += [f"'{name}' is left out. {reason}" for name, reason in values["missing"].items()]
    for name, asked in values["comparisons"].items():
        lines += ["", f"{sentence_case(name)}: {asked['about']}"]
        shown = table(comparison.read(folder / asked["folder"])).rstrip()
        lines += [in_recipe(shown, name)]
    if values["checklist"]:
        lines += ["", "Checklist"]
        lines += [
            f"  {each['verdict']}: {each['text']} {each['answer']}" for each in values["checklist"]
        ]
    return "\n".join([*lines, "", used(values)])


def in_recipe(advice: str, name: str) -> str:
    """Rewrites the flags of `ssl-kit compare` in an advice as settings of `ssl-kit recipes run`.

    Args:
        advice: Text on a comparison.
        name: Of the comparison in the recipe.
    """
    where = f"--set comparisons.{name}"
    longer = advice.replace("--set finetune.", f"{where}.options.finetune.")
    return longer.replace("Give --seeds 3", f"Give {where}.seeds=3")


def title(values: Json) -> str:
    """Returns the paper and the name of the recipe.

    Args:
        values: Content of recipe.json.
    """
    return f"{values['recipe']}{' --small' if values['small'] else ''}: {citation(values['paper'])}"


def used(values: Json) -> str:
    """Says how much time and memory a recipe took."""
    return (
        f"Wall time {duration(values['seconds'])}, of processor time "
        f"{duration(values['cpu_seconds'])}; peak memory {values['peak_memory_mib']:,.0f} MiB."
    )


def duration(seconds: float) -> str:
    """Writes "45 s" or "12 min"."""
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.0f} min"


def pretext_sentences(values: Json) -> list[tuple[str, str, str]]:
    """Says of each run whether its pretext task was learned.

    Args:
        values: Content of recipe.json.

    Returns:
        Name of the run, a sentence, and a tone: "good", "bad" or "".
    """
    return [(name, *_judged(name, run["pretext"])) for name, run in values["runs"].items()]


def _judged(name: str, judged: Json) -> tuple[str, str]:
    metric, verdict = judged["metric"], judged["verdict"]
    if judged["reason"]:
        return f"{name}: the pretext task was {verdict}: {judged['reason']}.", ""
    collapsed = " The representation has collapsed." if judged["collapsed"] else ""
    where = "in the last epoch" if judged.get("measured_on", TRAINING) == TRAINING else _LATER
    sentence = (
        f"{name}: the pretext task was {verdict}.{collapsed} {metric} was {judged['last']:.3g} "
        f"{where} ({judged['first']:.3g} at the first record); the reference is "
        f"{judged['reference']:.3g} ({judged['about']}), and {judged['learned_at']:.3g} counts as "
        "learned."
    )
    return sentence, "good" if verdict == LEARNED else "bad"
