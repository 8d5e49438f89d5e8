"""The text of docs/objectives.md, from the results of benchmarks/objectives.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean

import default_sets
from default_runs import ALL, SIZE, Run, gain, grouped, value

from ssl_kit.nn import objectives

SETS = ("rsscn7", "lc25000_lung", "mstar10")
VIT = "vit_small_patch8_224"
WEIGHTS = {"scratch": "random weights", "imagenet": "ImageNet weights"}
BATCH = {"scratch": 64, "imagenet": 32}
IMAGES = {"scratch": 6_000, "imagenet": 3_000}
ROUNDS = {"images": "the same number of images", "time": "the time of SimCLR"}
PAGE = """# What each objective gains

This page was written by `python benchmarks/objectives.py table --out {results}`.
Do not edit it.

Every objective was trained with its default options at {size} px on sets of three fields: scenes
(`rsscn7`), tissue (`lc25000_lung`) and radar chips (`mstar10`). From random weights a ResNet-18 (a
small ViT where the objective needs tokens) saw about {scratch:,} images in batches of {batch};
from ImageNet weights an EfficientNet-Lite0 saw about {imagenet:,} in batches of {small}. **This is
little training**: about a minute. After a night of training the order may be different.

Figures are gains in points of balanced accuracy over the same weights without training, with 95 %
intervals over groups: of a ridge probe on frozen features, judged on the validation part. *mean* is
that over the sets on which it was trained, and *kNN* the same with the nearest neighbors. A gain is
bold if its interval lies above zero or below: of twenty gains that are zero one is bold by chance.
Each training has one seed. *time* is that of a processor core for as many images, as a multiple of
the time of SimCLR, mean over the sets.

In the time of SimCLR an objective saw fewer images if it is slower, and more if it is faster. Where
the times differ by less than a quarter the first training stands for both. The trainings were made
on these processors, each compared with SimCLR on the same one: {processors}.
"""
REMARKS = {
    "mae": "The paper reports that the features are strong when some layers are fine-tuned, and "
    "weaker without ([He et al. 2021](https://arxiv.org/abs/2111.06377), section 4.3).",
    "ijepa": "The paper trains for 300 epochs of ImageNet and more "
    "([Assran et al. 2023](https://arxiv.org/abs/2301.08243), table 1).",
    "simmim": "Masked pixels change the features of a plain CNN at visible positions too; `spark` "
    "avoids this ([Tian et al. 2023](https://arxiv.org/abs/2301.03580)).",
    "byol": "Its teacher changes slowly: the paper trains for 300 epochs of ImageNet and more "
    "([Grill et al. 2020](https://arxiv.org/abs/2006.07733), section 3.3).",
    "rotation": "A scene from above has no upright orientation, so that its rotation is hard to "
    "predict ([Reed et al. 2021](https://arxiv.org/abs/2009.07724)).",
    "relative_patch": "Textures seen from above contain little information on relative positions; "
    "the paper used photographs of objects "
    "([Doersch et al. 2015](https://arxiv.org/abs/1505.05192)).",
}
"""What the papers say of some objectives that need more, or other images."""

Key = tuple[str, str, str]
Times = Callable[[Key], float]
"""Returns the time of an objective as a multiple of that of SimCLR."""


def key_of(line: Run) -> Key:
    """Returns objective, set and start of a training."""
    return line["settings"]["objective"], line["set"], line["start"]


def effect(line: Run) -> int:
    """Returns 1 for a gain with evidence, -1 for a loss, else 0."""
    _, _, low, high = line["scores"][ALL]["probe"]
    return int(low > 0) - int(high < 0)


def cell(line: Run | None) -> str:
    """Writes "+5.4 [1.2, 9.6]", bold where the interval excludes zero."""
    if line is None:
        return "none"
    gained, low, high = (100 * each for each in line["scores"][ALL]["probe"][1:])
    text = f"{gained:+.1f} [{low:.1f}, {high:.1f}]"
    return f"**{text}**" if effect(line) else text


def of_round(runs: Sequence[Run], start: str, part: str) -> dict[str, Run]:
    """Returns the trainings of an objective by set; the first round stands for a missing second."""
    done = [r for r in runs if r["start"] == start and not r["failed"]]
    chosen: dict[str, Run] = {}
    for each in ("images", part):
        first: dict[str, Run] = {}
        for line in done:
            if line["round"] == each:  # SimCLR has one on each processor
                first.setdefault(line["set"], line)
        chosen |= first
    return chosen


def untouched(runs: Sequence[Run], start: str) -> str:
    """Says what the weights know without training."""
    encoders = grouped((r for r in runs if r["start"] == start), lambda r: r["encoder"])
    parts = []
    for encoder, of_encoder in encoders.items():
        firsts = {r["set"]: r for r in reversed(of_encoder) if not r["failed"]}
        known = [
            f"{each} {value([firsts[each]], ALL, 'probe') - gain(firsts[each], ALL, 'probe'):.1f}"
            for each in SETS
            if each in firsts
        ]
        parts.append(f"{encoder}: {', '.join(known)}")
    return f"Balanced accuracy in percent before training, of {'; of '.join(parts)}."


def table(found: dict[str, list[Run]], start: str, part: str, times: Times) -> list[str]:
    """Returns the rows of a start and a round, the largest mean gain first."""
    rows = []
    for name, runs in found.items():
        chosen = of_round(runs, start, part)
        if not chosen:
            continue
        probe, knn = (
            mean(gain(r, ALL, kind) for r in chosen.values()) for kind in ("probe", "knn")
        )
        cells = [cell(chosen.get(each)) for each in SETS]
        relative = mean(times((name, each, start)) for each in chosen)
        vit = " (ViT)" if next(iter(chosen.values()))["encoder"] == VIT else ""
        cells += [f"{probe:+.1f}", f"{knn:+.1f}", f"{relative:.1f}"]
        rows.append((len(chosen) < len(SETS), -probe, f"| `{name}`{vit} | {' | '.join(cells)} |"))
    heading = f"| objective | {' | '.join(SETS)} | mean | kNN | time |"
    return [heading, "|---" * 7 + "|", *(row for *_, row in sorted(rows)), ""]


def good_for(runs: Sequence[Run]) -> str:
    """Says in a sentence where an objective gained and where it lost."""
    parts = []
    for start, words in WEIGHTS.items():
        images, alike = (of_effect(of_round(runs, start, part)) for part in ROUNDS)
        if not of_round(runs, start, "images"):
            continue
        else_so = "" if alike == images else f", and in the time of SimCLR it {alike}"
        parts.append(f"from {words} it {images}{else_so}")
    sentence = "; ".join(parts) or "it was not trained"
    return f"{sentence[0].upper()}{sentence[1:]}."


def of_effect(chosen: Mapping[str, Run]) -> str:
    """Says on which fields trainings gained and lost: "gains on tissue and loses on radar"."""
    won, lost = (
        [default_sets.SETS[name].field for name in SETS if effect_on(chosen, name) == sign]
        for sign in (1, -1)
    )
    losses = f"loses on {joined(lost)}"
    if not won:
        return losses if lost else "gains nothing with evidence"
    return f"gains on {joined(won)}" + (f" and {losses}" if lost else "")


def effect_on(chosen: Mapping[str, Run], name: str) -> int:
    """Returns the effect on a set; 0 if there is no training."""
    return effect(chosen[name]) if name in chosen else 0


def joined(words: Sequence[str]) -> str:
    """Joins words by commas, the last one by "and"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def failures(runs: Sequence[Run]) -> str:
    """Says on which sets an objective cannot be trained, and why."""
    failed = grouped((r for r in runs if r["failed"]), lambda r: r["failed"])
    return "".join(
        f" Not on {joined([*dict.fromkeys(r['set'] for r in of_reason)])}: {reason}"
        for reason, of_reason in failed.items()
    )


def page(runs: Sequence[Run], results: Path, times: Times) -> str:
    """Returns the text of docs/objectives.md."""
    found = grouped(runs, lambda r: r["settings"]["objective"])
    given = {"size": SIZE, "batch": BATCH["scratch"], "small": BATCH["imagenet"]}
    processors = "; ".join(sorted({line["processor"] for line in runs}))
    text = [PAGE.format(results=results, processors=processors, **given, **IMAGES)]
    for start, words in WEIGHTS.items():
        text += [f"## From {words}", "", untouched(runs, start), ""]
        for part, title in ROUNDS.items():
            text += [f"### With {title}", "", *table(found, start, part, times)]
    heading = ["| objective | task | in this training |", "|---|---|---|"]
    text += ["## What each is good for", "", *heading]
    for name in sorted(found):
        said = f"{good_for(found[name])}{failures(found[name])} {REMARKS.get(name, '')}"
        text.append(f"| `{name}` | {objectives.entry(name).summary} | {said.strip()} |")
    return "\n".join([*text, ""])
