"""The tables of docs/defaults.md of what starts know, and of what is better than they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from default_runs import ALL, FEW_LABELS, Run, grouped
from default_sets import UNSEEN

KNOWN = """## What the starts know without training

Balanced accuracies in percent of the probe (kNN in parentheses) on the validation part.
*Descriptors* are hand-crafted histograms of color, texture and gradients, without a network.
"""
SIZED = """## What ImageNet weights know at other image sizes

Balanced accuracies in percent of the probe on the validation part: with all labels, and with ten a
class. A forward pass has 2.25, 4 and 9 times the operations of one at 64 px.
"""
HANDED_BACK = """## What `train` hands back, on the test part

Written by `python benchmarks/handed_back.py --out {results}`. Each row is one training from
ImageNet weights with the defaults of the domain: images of 64 px, of scenes 96 px and less than
half as many. The figures are those of a linear probe on the **test part**, with 10 labels a class
(ten draws) and with all: of the start, of the encoder that the run hands back, and the difference
in points with its 95 % interval over groups and draws of labels. *kept* is what was chosen on
training images: the start, a checkpoint or an interpolation with so much of the end. Rows with
*px* are trainings with `--image-size` at another size than the default. No default was chosen on
the spoken digits of fsdd and the ships of hrsid_ships (`UNSEEN` in benchmarks/default_sets.py).
"""
TUNED = """## What `tune` gains, on the test part

Written by `python benchmarks/tuned.py --out {results}`. Each row is a search from ImageNet weights
with everything else by default, on two cores of an AMD EPYC (*processor* in the file says which had
AVX-512). What it found was trained, then the defaults for as many epochs, unless the search kept
them. The figures are those of a ridge probe on the **test part**, with ten labels a class (mean of
five draws) and with all: of the default or the start, of what was found, and the difference in
points with its 95 % interval. The start has the image size that was found, so that what a larger
image gains shows in the gain over the default alone. *handed back* is what the training with these
settings kept, *seconds* are those of the two trainings, *px* their image sizes.

The defaults were chosen on the validation parts of these sets except fsdd and hrsid_ships, so that
less is left to find on them than on images of another kind.
"""
NOT_CHOSEN_ON = " that no default was chosen on"


def starts(lines: Sequence[Run]) -> list[str]:
    """Returns the table of the untouched starts."""
    rows = [
        KNOWN,
        "| set | images: train, val (val groups) | cut | ImageNet | random weights | descriptors |",
        "|---|---|---|---|---|---|",
    ]
    sized = sorted({line["size"] for line in lines})
    of_sets = grouped(lines, lambda r: (r["set"], r["encoder"]))
    for (name, _), of_set in of_sets.items():
        known = {each["start"]: each["scores"] for each in of_set if each["size"] == sized[0]}
        if "imagenet" not in known:
            continue
        sizes = of_set[0]["images"]
        about = f"{sizes['train']}, {sizes['val']} ({sizes['val groups']})"
        for cut in known["imagenet"]:
            cells = [known[s][cut] for s in ("imagenet", "scratch", "descriptors")]
            texts = [f"{100 * c['probe'][0]:.1f} ({100 * c['knn'][0]:.1f})" for c in cells]
            rows.append(f"| {name} | {about} | {cut} | " + " | ".join(texts) + " |")
    rows += ["", SIZED, f"| set | {' | '.join(f'{size} px' for size in sized)} |"]
    rows += ["|---" * (1 + len(sized)) + "|"]
    for name, of_set in grouped(lines, lambda r: r["set"]).items():
        known = {each["size"]: each["scores"] for each in of_set if each["start"] == "imagenet"}
        cells = [
            [known[s][cut]["probe"][0] for cut in (ALL, FEW_LABELS)] for s in sized if s in known
        ]
        texts = [f"{100 * whole:.1f}, {100 * few:.1f}" for whole, few in cells]
        rows.append(f"| {name} | {' | '.join(texts)} |")
    return [*rows, ""]


def kept_of(line: Run) -> str:
    """Writes what a run handed back, and how much of the training is in it."""
    kept = line["kept"]
    return "start" if kept["share"] == 0 else f"{kept['kind']} {100 * kept['share']:.0f} %"


def pair(numbers: Sequence[float]) -> str:
    """Writes start, arm and their difference in percent and points."""
    arm, against, gain, low, high = (100 * number for number in numbers)
    verdict = " **hurts**" if high < 0 else " **helps**" if low > 0 else ""
    return f"{against:.1f} to {arm:.1f}: {gain:+.1f} [{low:.1f}, {high:.1f}]{verdict}"


def handed_back(lines: Sequence[Run], results: Path) -> list[str]:
    """Returns the section on the test parts."""
    parts = [HANDED_BACK.format(results=results), *counted(lines), ""]
    parts += ["| set | length | kept | 10 labels a class | all labels | test groups |"]
    parts += ["|---" * 6 + "|"]
    for line in lines:
        other = f", {line['image_size']} px" if "image_size" in line else ""
        cells = [line["set"], f"{line['length']}{other}", kept_of(line)]
        cells += [pair(line["start"][budget]) for budget in ("10", "all")]
        parts.append(f"| {' | '.join(cells)} | {line['groups']} |")
    return [*parts, ""]


def helped_and_hurt(differences: Sequence[Sequence[float]]) -> tuple[int, int]:
    """Counts the differences whose interval, their last two numbers, is above and below 0."""
    return sum(d[-2] > 0 for d in differences), sum(d[-1] < 0 for d in differences)


def counted(lines: Sequence[Run]) -> list[str]:
    """Says on how many sets the defaults help and hurt, by length and number of labels."""
    rows = [line for line in lines if "image_size" not in line]
    sentences = []
    of_lengths = grouped(rows, lambda r: (r["length"], r["set"] in UNSEEN))
    for (length, unseen), of_length in of_lengths.items():
        for budget, words in (("10", "10 labels a class"), ("all", "all labels")):
            helped, hurt = helped_and_hurt([line["start"][budget] for line in of_length])
            sentences.append(
                f"- After {length}, with {words}: helps on {helped} of {len(of_length)} sets"
                f"{NOT_CHOSEN_ON if unseen else ''}, hurts on {hurt}."
            )
    return sentences


def tuned(lines: Sequence[Run], results: Path) -> list[str]:
    """Returns the section on searches."""
    parts = [TUNED.format(results=results), *counted_searches(lines), ""]
    parts += [
        "| set | time, trainings | found | over the default, 10 labels | all labels "
        "| over the start, 10 labels | all labels | handed back: found, default "
        "| seconds: found, default | px: found, default |"
    ]
    parts += ["|---" * 10 + "|"]
    for line in lines:
        cells = [line["set"], f"{line['budget']}, {line['trials']}", line["winner"]]
        cells += [
            found_over(line["over"][against][cut])
            for against in ("default", "start")
            for cut in (FEW_LABELS, ALL)
        ]
        cells += [", ".join(kept_of({"kept": line["kept"][arm]}) for arm in ("tuned", "default"))]
        cells += [
            f"{line[key]['tuned']}, {line[key]['default']}"
            for key in ("training_seconds", "image_size")
        ]
        parts.append(f"| {' | '.join(cells)} |")
    return [*parts, ""]


def counted_searches(lines: Sequence[Run]) -> list[str]:
    """Says how often a search kept the default, and on how many sets what it found is better."""
    sentences = []
    of_budgets = grouped(lines, lambda r: (r["budget"], r["set"] in UNSEEN))
    for (budget, unseen), of_budget in of_budgets.items():
        kept = sum(line["winner"] == "default" for line in of_budget)
        where = f" on sets{NOT_CHOSEN_ON}" if unseen else ""
        found = "What was found" + (" there" if unseen else "")
        sentences.append(
            f"- Of {len(of_budget)} searches of {budget}{where}, {kept} kept the default and have "
            "its figures."
        )
        for cut, words in ((FEW_LABELS, FEW_LABELS), (ALL, "all labels")):
            helped, hurt = helped_and_hurt([line["over"]["default"][cut] for line in of_budget])
            sentences.append(
                f"- {found}, with {words}: better than the default on {helped}, worse on "
                f"{hurt} (interval above or below 0)."
            )
    return sentences


def found_over(numbers: Sequence[float]) -> str:
    """Writes accuracies and difference of [accuracy, gain, low, high]."""
    accuracy, gained, *interval = numbers
    return pair([accuracy, accuracy - gained, gained, *interval])
