"""Does it help to pre-train on the subject that a probe is for? On ten wristbands.

    python benchmarks/personalized.py ../shared/data/stress_predict --out runs/personalized

Stress-Predict: stress is the Stroop test, the interview and the hyperventilation; all else with a
time in its table is rest. Of each subject's labeled windows the first 40 % are for training, 25 %
for validation and the rest for testing, with a gap of a window (see the evaluation within_group):
so each part has both classes for all ten.
Encoders are pre-trained on copies of the recordings that end before the validation time: of this
subject alone ("own") or of all subjects ("all"), with equally many steps, from the same random
weights, which are the control ("untrained"). A linear probe of the subject's training time is
tested once. Each session is scaled by its own mean and deviation: in pre-training of the copy, in
the probe of the whole session, later time included, without its labels.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_kit import load, open_data, train
from ssl_kit.data import domains, kept_in_memory, split
from ssl_kit.evaluation import (
    EvaluationData,
    LabeledFeatures,
    Pretrained,
    Result,
    evaluations,
    from_init,
    over_groups,
    paired_difference,
    paired_p_value,
    verdict,
)

WINDOW, STRIDE, SIZE, BATCH = 60.0, 15.0, 192, 32  # seconds, seconds, samples, windows
STRESS, REST = ("I", "M", "Q"), ("G", "K", "O", "S", "W")  # columns of the starts of tasks
SIGNALS = ("ACC", "EDA", "TEMP", "HR")
METRICS = ("balanced_accuracy", "auroc", "macro_f1")
_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def table(path: Path) -> list[dict[str, str]]:
    """Reads the first sheet of a workbook: a row each, by the letters of its columns."""
    with zipfile.ZipFile(path) as book:
        texts = ET.fromstring(book.read("xl/sharedStrings.xml")).iter(f"{_XML}si")
        shared = ["".join(t.text or "" for t in each.iter(f"{_XML}t")) for each in texts]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in sheet.iter(f"{_XML}row"):
        cells = {
            str(c.get("r")).rstrip("0123456789"): c for c in row if c.find(f"{_XML}v") is not None
        }
        values = {name: str(c.findtext(f"{_XML}v")) for name, c in cells.items()}
        rows.append(
            {n: shared[int(v)] if cells[n].get("t") == "s" else v for n, v in values.items()}
        )
    return rows


def write_intervals(logs: Path, out: Path) -> None:
    """Writes subject, start, end (Unix seconds) and label of each task."""

    def unix(row: dict[str, str], column: str) -> float:
        day, hour = float(row["Z"]), float(row[column])
        if hour < 0.3:  # a clock of twelve hours; nobody came before seven
            hour += 0.5
        return round((day - 25569 + hour) * 86400)  # Excel counts days from 1899-12-30; UTC

    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "start", "end", "label"])
        for row in table(logs)[2:]:
            for label, columns in (("stress", STRESS), ("rest", REST)):
                for column in columns:
                    if column in row and chr(ord(column) + 1) in row and "Z" in row:
                        ends = unix(row, column), unix(row, chr(ord(column) + 1))
                        writer.writerow([row["A"], *ends, label])


def copy_until(session: Path, seconds: float, out: Path) -> None:
    """Copies the first seconds of a session, counted from when all signals have begun."""
    out.mkdir(parents=True)
    texts = {name: (session / f"{name}.csv").read_text().splitlines() for name in SIGNALS}
    starts = {name: float(lines[0].split(",")[0]) for name, lines in texts.items()}
    stop = max(starts.values()) + seconds
    for name, lines in texts.items():
        rate = float(lines[1].split(",")[0])
        samples = math.floor((stop - starts[name]) * rate)
        (out / f"{name}.csv").write_text("\n".join(lines[: 2 + samples]) + "\n")


def pretrain(path: Path, windows: int, given: Any, out: Path) -> Pretrained:
    """Pre-trains on all windows below a folder, for about the number of steps asked for."""
    epochs = max(1, round(given.steps / max(1, windows // BATCH)))
    run = train(
        domain="eeg",
        data=path,
        encoder=given.encoder,
        image_size=SIZE,
        objective=given.objective,
        epochs=epochs,
        batch_size=BATCH,
        workers=0,
        set={"data.options": {"window": WINDOW, "stride": STRIDE}},
        out=out,
    )
    return load(run).model


def evaluation(name: str, **options: float) -> Any:
    """Makes an evaluation with options."""
    kind = evaluations[name]
    return kind(kind.Config(**options))


def probe(model: Pretrained, data: EvaluationData, parts: Any) -> dict[str, float]:
    """Tests a linear probe of one subject, of whom alone features are computed."""
    index, three = data.dataset.index, (parts.train, parts.val, parts.test)
    features, rows = data.embed(model, np.sort(np.concatenate(three)))
    places = [np.flatnonzero(np.isin(rows, part)) for part in three]
    labels, groups = index.labels[rows], index.groups[rows]
    found = LabeledFeatures(features, labels, groups, index.classes, *places)
    answers, validation, _ = evaluation("linear").predict(found)
    metrics = found.result(answers, validation).metrics
    return {name: metrics[name].value for name in METRICS}


def opened(path: Path, intervals: Path) -> EvaluationData:
    """Opens the recordings with their labels, in memory."""
    options = {"window": WINDOW, "stride": STRIDE, "intervals": str(intervals)}
    dataset = open_data(domain="eeg", data=path, set={"data.options": options})
    labeled = np.flatnonzero(dataset.index.labels >= 0)
    kept = kept_in_memory(dataset, labeled)
    return EvaluationData(kept, split(dataset.index, 0), domains["eeg"], workers=0)


def report(scores: dict[str, dict[int, dict[str, float]]], left_out: dict[int, str]) -> None:
    """Prints a row per subject, the means, and paired differences over subjects."""
    print(f"{METRICS[0]} of each subject\n{'subject':<10}" + "".join(f"{a:>12}" for a in scores))
    for group in next(iter(scores.values())):
        cells = [f"{100 * scores[arm][group][METRICS[0]]:12.1f}" for arm in scores]
        print(f"{group:<10}" + "".join(cells))
    for group, reason in left_out.items():
        print(f"{group:<10}  left out: it {reason}")
    means = {arm: over_groups(each, METRICS[0]) for arm, each in scores.items()}
    for metric in METRICS:
        print(f"\n{metric}, mean over subjects with 95 % interval; deviation between them")
        for arm, mean in means.items():
            deviation = mean.details["between_groups"][metric]["deviation"]
            print(f"  {arm:<12}{mean.metrics[metric]}  +- {100 * deviation:.1f}")
        for ours, theirs in (("own", "untrained"), ("all", "untrained"), ("own", "all")):
            print(f"  {ours} - {theirs}: {compared(means[ours], means[theirs], metric)}")


def compared(ours: Result, theirs: Result, metric: str) -> str:
    """Returns a paired difference in words, with a test of the main metric unless there are few."""
    gain = paired_difference(ours, theirs, metric)
    text = f"{gain}, {verdict(gain, ours.groups)}"
    p = paired_p_value(ours, theirs, metric) if metric == METRICS[0] else None
    return text if p is None else f"{text}, p = {p:.3f}"


def run(given: Any) -> None:
    torch.set_num_threads(1)  # so small an encoder is slower with more
    given.out.mkdir(parents=True)
    write_intervals(given.data / "Processed_data" / "Time_logs.xlsx", given.out / "intervals.csv")
    data = opened(given.data / "Raw_data", given.out / "intervals.csv")
    index = data.dataset.index
    kept, left_out = evaluation("within_group", train=0.4, val=0.25, gap=WINDOW).cut(data)
    kept = dict(list(kept.items())[: given.subjects or None])
    early, windows = given.out / "early", {}
    for group, parts in kept.items():
        name = index.group_names[group].decode()
        until = float(index.positions[parts.val, 1].min())
        copy_until(given.data / "Raw_data" / name, until, early / str(group))
        windows[group] = math.floor((until - WINDOW) / STRIDE) + 1
    scores: dict[str, dict[int, dict[str, float]]] = {"untrained": {}, "own": {}, "all": {}}
    everyone = pretrain(early, sum(windows.values()), given, given.out / "all")
    for group, parts in kept.items():
        began = time.monotonic()
        own = pretrain(early / str(group), windows[group], given, given.out / f"own-{group}")
        untrained = from_init("scratch", given.encoder, SIZE, data.dataset, parts.train)
        for arm, model in (("untrained", untrained), ("own", own), ("all", everyone)):
            scores[arm][group] = probe(model, data, parts)
        print(f"subject {group}: {time.monotonic() - began:.0f} s", flush=True)
    report(scores, left_out)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--subjects", type=int, default=0, help="the first so many; 0 is all")
    parser.add_argument("--steps", type=int, default=600, help="of each pre-training")
    parser.add_argument("--objective", default="forecasting")
    parser.add_argument("--encoder", default="resnet1d/tiny")
    run(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
