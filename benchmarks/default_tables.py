"""The text of docs/defaults.md, from the results of benchmarks/defaults.py."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from default_sets import taken_today
from scipy.stats import rankdata

Run = Mapping[str, Any]
UNTOUCHED = "untouched start"
STARTS = {"imagenet": "from ImageNet weights", "scratch": "from random weights"}
RULE = """# How the defaults of domains are chosen

This page was written by `python benchmarks/defaults.py table --out {results}`.
Do not edit it.

A domain has defaults for training from random weights (`Domain.defaults`) and others for training
from pre-trained weights (`Domain.pretrained_defaults`). The rule was stated before the experiments:

1. Candidates are settings of `ssl-kit train`: objective and learning rate, and for pre-trained
   weights also `encoder.frozen_statistics`, `encoder.frozen_layers`, `optimizer.layer_decay` and
   `optimizer.anchor`. The start without any training is always a candidate; its gain is 0.
2. Each candidate is trained on every set of its field, at several lengths. A length is a number of
   images, not a time. A field with a single set borrows sets of neighboring fields.
3. A classifier of frozen features (ridge regression, `ssl_kit.evaluation.probe_predict`) learns
   from labels of the training part and is judged on the **validation part**, by the balanced
   accuracy. The test part is never looked at. The gain is the paired difference from the start.
4. The labels of a set are cut in several ways: all classes, the half of the classes that a probe of
   ImageNet features recognizes worst, ten labels a class (mean of five draws), and other tasks that
   the labels allow. So a choice that suits one task of one set is seen.
5. For each set, length and cut the candidates are ranked by the gain. Ranks are averaged over the
   cuts of a set, then over lengths, then over sets. The lowest mean rank wins.
6. From pre-trained weights a candidate is out if it hurts on any set of the field: if the 95 %
   interval of its gain on all classes lies below 0. It is not trained on further sets of the field.
7. Mean ranks that differ by less than 0.5 are a tie. Of tied candidates the default of the kit is
   chosen, then the one with fewer settings, then the one that takes less time.

To compute what is missing, run `python benchmarks/defaults.py run --out {results}`: it goes
on where it was ended. {images}
"""
SCREENING = """
**What is chosen so far.** The tables below hold what has been computed. From pre-trained weights
the statistics of batch normalization are frozen and the learning rate is a quarter of that from
random weights, in every domain. Both were measured with SimCLR (on scenes also TiCo) and
EfficientNet-Lite0 alone, and are taken for other objectives and encoders without a measurement.
Random weights, other objectives and longer trainings have not been compared on all sets yet, and
nothing is chosen from them. Two parts of the rule were added later: that a candidate that hurts is
trained no further (6), after the first trainings, and that a tie goes to the default of the kit
(7), when the ranks of tissue, a tie, were known.
"""
CANDIDATES = """Gains are points of balanced accuracy over the start, means over sets, cuts and
lengths. *helps* and *hurts* count the sets where the interval of the gain on all classes lies above
or below 0. A candidate without a mean rank lacks some of the sets; sets and lengths with a single
candidate are in the second table only. CPU seconds are those of one thread on a machine that did
other work. The second table has the gains on all classes with 95 % intervals over groups of the
validation part.
"""
KNOWN = """## What the starts know without training

Balanced accuracies in percent of the probe (kNN in parentheses) on the validation part.
*Descriptors* are hand-crafted histograms of color, texture and gradients, without a network.
"""
SIZED = """## What ImageNet weights know at other image sizes

Balanced accuracies in percent of the probe on the validation part: with all labels, and with ten a
class. A forward pass takes 2.2, 4 and 9 times as long as at 64 px.
"""
SIZED_CUTS = ("all classes", "10 labels a class")
HANDED_BACK = """## What `train` hands back, on the test part

Written by `python benchmarks/handed_back.py --out {results}`. Each row is one training from
ImageNet weights with the defaults of the domain. The figures are those of a linear probe on the
**test part**, with 10 labels a class and with all: of the start, of the encoder that the run hands
back, and the difference in points with its 95 % interval over groups and draws of labels. *kept* is
what was chosen on training images: the start, a checkpoint or an interpolation with so much of the
end.
"""


def name_of(settings: Mapping[str, Any]) -> str:
    """Returns the name of a candidate."""
    parts = [f"`{settings['objective']}`"]
    for key, value in settings.items():
        if key != "objective":
            text = f"{value:.3g}" if isinstance(value, float) else value
            parts.append(f"{key.partition('.')[2]} {text}")
    return ", ".join(parts)


def candidate(run: Run) -> tuple[str, str, str]:
    """Returns what is kept or dropped as one: field, start, and settings."""
    return run["field"], run["start"], name_of(run["settings"])


def hurts(run: Run) -> bool:
    """Returns whether a candidate is out because of a run from pre-trained weights."""
    return bool(run["start"] == "imagenet" and _high(run) < 0)


def grouped(runs: Iterable[Run], key: Callable[[Run], Any]) -> dict[Any, list[Run]]:
    """Groups runs by a key, in the order in which keys come."""
    groups: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return dict(groups)


def gain(runs: Sequence[Run], cut: str, classifier: str) -> float:
    """Returns the gain over the start, in points, mean over seeds."""
    return 100 * mean(run["scores"][cut][classifier][1] for run in runs)


def ranks(blocks: Mapping[tuple[str, str], Mapping[str, Sequence[Run]]]) -> dict[str, float]:
    """Returns the mean rank of each candidate that was trained in every block.

    Args:
        blocks: Runs by candidate, by (set, length).
    """
    names = set.intersection(*(set(block) for block in blocks.values()))
    compared = [*sorted(names), UNTOUCHED]
    by_set: dict[str, list[list[float]]] = defaultdict(list)
    for (name, _), block in blocks.items():
        of_cuts = []
        for cut in next(iter(block.values()))[0]["scores"]:
            gains = [gain(block[c], cut, "probe") if c != UNTOUCHED else 0.0 for c in compared]
            of_cuts.append(rankdata([-g for g in gains]))
        by_set[name].append([mean(column) for column in zip(*of_cuts, strict=True)])
    of_sets = [[mean(c) for c in zip(*rows, strict=True)] for rows in by_set.values()]
    return dict(zip(compared, map(mean, zip(*of_sets, strict=True)), strict=True))


def candidates(runs: Sequence[Run]) -> list[str]:
    """Returns the table of the candidates of a field from one start."""
    by_block = grouped(runs, lambda run: (run["set"], run["length"]))
    blocks = {k: grouped(v, lambda run: name_of(run["settings"])) for k, v in by_block.items()}
    blocks = {k: v for k, v in blocks.items() if len(v) > 1}  # one alone is compared with nothing
    mean_ranks = ranks(blocks) if blocks else {}
    compared = [run for of_set in blocks.values() for each in of_set.values() for run in each]
    rows = []
    for name, of_name in grouped(compared, lambda run: name_of(run["settings"])).items():
        cuts = [(run, cut) for run in of_name for cut in run["scores"]]
        whole = grouped(of_name, lambda run: run["set"])
        hurts = [s for s, each in whole.items() if any(_high(run) < 0 for run in each)]
        helps = [s for s, each in whole.items() if any(_low(run) > 0 for run in each)]
        values = [mean(gain([run], cut, c) for run, cut in cuts) for c in ("probe", "knn")]
        rank = f"{mean_ranks[name]:.1f}" if name in mean_ranks else "-"
        seconds = mean(run["cpu_seconds"] for run in of_name)
        row = f"| {name} | {rank} | {values[0]:+.1f} | {values[1]:+.1f} | {len(helps)} | "
        row += f"{len(hurts)} | {len(whole)} | {seconds:.0f} |"
        rows.append((mean_ranks.get(name, float("inf")), -values[0], row))
    whole_sets = {name for name, _ in blocks}
    if len(mean_ranks) > 1:
        row = f"| {UNTOUCHED} | {mean_ranks[UNTOUCHED]:.1f} | 0 | 0 | | | {len(whole_sets)} | |"
        rows.append((mean_ranks[UNTOUCHED], 0.0, row))
    return [
        "| candidate | mean rank | gain, probe | gain, kNN | helps | hurts | sets | CPU seconds |",
        "|---|---|---|---|---|---|---|---|",
        *(row for *_, row in sorted(rows)),
        "",
    ]


def _low(run: Run) -> float:
    return float(run["scores"]["all classes"]["probe"][2])


def _high(run: Run) -> float:
    return float(run["scores"]["all classes"]["probe"][3])


def by_set(runs: Sequence[Run]) -> list[str]:
    """Returns the table of gains on each set, all classes, with intervals."""
    names = list(dict.fromkeys(run["set"] for run in runs))
    rows = [
        "| candidate | " + " | ".join(names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for name, of_name in grouped(runs, lambda run: name_of(run["settings"])).items():
        cells = []
        for each in names:
            there = [run for run in of_name if run["set"] == each]
            text = "; ".join(_interval(run) for run in there)
            cells.append(text or "")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*rows, ""]


def _interval(run: Run) -> str:
    _, value, low, high = (100 * share for share in run["scores"]["all classes"]["probe"])
    verdict = " **hurts**" if high < 0 else " **helps**" if low > 0 else ""
    length = "" if run["length"] == "1 minute" else f" ({run['length']})"
    return f"{value:+.1f} [{low:.1f}, {high:.1f}]{verdict}{length}"


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
        cells = [[known[s][cut]["probe"][0] for cut in SIZED_CUTS] for s in sized if s in known]
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
    parts = [HANDED_BACK.format(results=results)]
    parts += ["| set | length | kept | 10 labels a class | all labels | test groups |"]
    parts += ["|---" * 6 + "|"]
    for line in lines:
        cells = [line["set"], line["length"], kept_of(line)]
        cells += [pair(line["start"][budget]) for budget in ("10", "all")]
        parts.append(f"| {' | '.join(cells)} | {line['groups']} |")
    return [*parts, ""]


def defaults_page(lines: Sequence[Run], results: Path) -> str:
    """Returns the text of docs/defaults.md."""
    runs = [line for line in lines if line["kind"] == "run"]
    lengths = sorted({(run["encoder"], run["length"], run["images"]) for run in runs})
    images = "; ".join(
        f"{length} of `{encoder}` is about {1000 * round(min(n) / 1000):,} images"
        for (encoder, length), n in _images(lengths).items()
    )
    text = f"{images}." if images else ""
    parts = [RULE.format(results=results, images=text), SCREENING, taken_today()]
    for start, title in STARTS.items():
        of_start = [run for run in runs if run["start"] == start]
        if not of_start:
            continue
        parts.append(f"## Candidates {title}\n\n{CANDIDATES}")
        for field, of_field in grouped(of_start, lambda run: run["field"]).items():
            parts.append("\n".join([f"### {field}", "", *candidates(of_field), *by_set(of_field)]))
    parts.append("\n".join(starts([line for line in lines if line["kind"] == "start"])))
    other = results.parent / "handed_back.jsonl"
    if other.is_file():
        known = [json.loads(line) for line in other.read_text().splitlines()]
        parts.append("\n".join(handed_back(known, other)))
    return "\n".join(parts)


def _images(lengths: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for encoder, length, images in lengths:
        found[encoder, length].append(images)
    return found
