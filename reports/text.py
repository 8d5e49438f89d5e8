"""The texts that commands print at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.beside_start import RANDOM
from ..evaluation.differences import verdict
from ..evaluation.records import side_by_side_json
from ..evaluation.result import Result
from ..evaluation.side_by_side import SideBySide
from ..training.run import Run
from .class_words import LEARNED_SINCE, constant_predictions, main_metric_reason, positive_class
from .class_words import at_threshold as threshold_text
from .kept import kept_sentences
from .metrics import at_threshold, direction, is_share, labels_bought, order_of_grades
from .tables import aligned, in_blocks
from .words import (
    barely_trained,
    descriptors_sentence,
    estimate_parts,
    estimate_text,
    gain_sentence,
    kept_start,
    leak_warning,
    percent_text,
    plural,
    short_training,
    tested_on,
)

GRAD_CAM = "gradcam.png"
_FEW_GROUPS = 6
_NO_NAMES: Mapping[int, str] = {}
_FLATTERED = "The run was pre-trained on test groups, which may make it look better than it is."


def trained(run: Run, watched: str) -> str:
    """Says where the encoder is, how to load it, and what to do next.

    Args:
        run: That has come to its end.
        watched: Verdict of the collapse watch.
    """
    facts = run.read_json("encoder.json")
    manifest = run.read_json("manifest.json")
    skipped, reason = manifest["skipped"], manifest.get("no_evaluation", "")
    barely = barely_trained(manifest["steps"], manifest["epochs"])
    were = "image was" if skipped == 1 else "images were"
    lines = [
        f"Collapse watch: {watched}."
        + (f" {skipped} {were} skipped, see {run.skipped}." if skipped else ""),
        *([barely] if barely else []),
        *kept_sentences(selected(run), manifest),
        f"The encoder is in {run.encoder}. Load it with",
        *(f"    {line}" for line in how_to_load(run, facts)),
        *([f"The run cannot be evaluated on its own images. {reason}"] if reason else []),
        f"To measure whether pre-training helped{' on labeled images' if reason else ''}, run",
        f"    ssl-kit evaluate {run.folder}{' --data LABELED_IMAGES' if reason else ''}",
        "To see the training curves, the features and the evaluations, run",
        f"    ssl-kit report {run.folder}",
    ]
    return "\n".join(lines)


def selected(run: Run) -> dict[str, Any]:
    """Reads which encoder a run kept and why; empty if nothing was compared."""
    return run.read_json(run.selection.name) if run.selection.is_file() else {}


def how_to_load(run: Run, facts: Mapping[str, Any]) -> list[str]:
    """Returns lines of Python that load a run's encoder, with plain timm where timm knows it.

    Args:
        run: With an encoder.
        facts: Content of its encoder.json.
    """
    name = facts["architecture"]
    if "/" in name:  # of a family that a plugin registered
        return [
            "import ssl_kit",
            f'encoder = ssl_kit.load("{run.folder.as_posix()}").model.encoder.body',
        ]
    arguments = ", ".join(f"{name}={value!r}" for name, value in facts["arguments"].items())
    weights = run.encoder.as_posix()  # Windows takes it too, and backslashes would be escapes
    return [f'timm.create_model("{name}", {arguments}, checkpoint_path="{weights}")']


def how_to_use(classifier: Path, architecture: str) -> tuple[str, str]:
    """Returns a sentence and a line of code: how a fine-tuned classifier is loaded or exported.

    Args:
        classifier: Its folder.
        architecture: That of its encoder.
    """
    if "/" in architecture:
        export = f"ssl-kit export {classifier} --format onnx --out NEW_FOLDER"
        return "timm lacks its architecture; for other programs, write it as ONNX with", export
    folder = classifier.as_posix()
    return "Load it with", f'timm.create_model("local-dir:{folder}", pretrained=True)'


def evaluation_json(evaluations: Sequence[SideBySide], shared: int) -> dict[str, Any]:
    """Returns the results of evaluations as plain values.

    Args:
        evaluations: Each with the results of the encoder and its control.
        shared: Number of test groups that the run was pre-trained on.
    """
    by_name = {results.evaluation: side_by_side_json(results) for results in evaluations}
    return {"overlapping_groups": shared, "evaluations": by_name}


def evaluation(
    evaluations: Sequence[SideBySide], shared: int, names: Mapping[int, str] = _NO_NAMES
) -> str:
    """Returns a table for each evaluation: metrics down, encoders and the gain across.

    Args:
        evaluations: Each with the results of the encoder and its control.
        shared: Number of test groups that the run was pre-trained on.
        names: Names of groups by their number, where they may be shown.
    """
    lines = [
        "Shares are in percent, with 95 % intervals in brackets.",
        "The verdict is based on the metric marked with *.",
    ]
    lines += [f"WARNING: {leak_warning(shared)}"] if shared else []
    for results in evaluations:
        worse = [name for name in main_metrics(results.first) if direction(name)]
        lower = [name if is_share(name) else f"{name} (in grades)" for name in worse]
        notes = [*below_table(results), *judged(results, shared)]
        notes += [f"Lower is better: {', '.join(lower)}."] if lower else []
        lines += ["", *_table(results), *(f"  {note}" for note in notes)]
        lines += _groups(results, names)
    return "\n".join(lines)


def below_table(evaluation: SideBySide) -> list[str]:
    """Returns sentences: how many images were tested on, and what the metrics refer to."""
    first = evaluation.first
    sentences = [
        tested_on(first.images, first.groups),
        order_of_grades(first.details.get("grades", ())),
        main_metric_reason(first.main, first.rows, first.unit),
        positive_class(first.positive, first.sensitivity, first.unit),
        *constant_predictions(
            {n: result.constant for n, result in evaluation.results.items()}, first.unit
        ),
    ]
    return [sentence for sentence in sentences if sentence]


def judged(evaluation: SideBySide, shared: int) -> list[str]:
    """Returns the verdict on pre-training in sentences; empty without a control.

    Args:
        evaluation: With the results of the encoder and its control.
        shared: Number of test groups that the run was pre-trained on.
    """
    if not evaluation.gain:
        return []
    control, first = list(evaluation.results)[1], evaluation.first
    key, gain = evaluation.verdict, evaluation.over_descriptors
    short = short_training(evaluation.pretraining) if key == "no evidence" else ""
    sentence = gain_sentence(key, evaluation.gain, first.main, control, first.groups, evaluation.p)
    sentences = [sentence, *([_FLATTERED] if shared else []), *([short] if short else [])]
    if evaluation.pretraining.get("kept") == 0 and control != RANDOM:
        sentences = [kept_start(), *([short] if short else [])]
    if gain:
        words = verdict(gain, first.groups)
        sentences.append(descriptors_sentence(words, gain, first.main, first.groups))
    return sentences


def _table(evaluation: SideBySide) -> list[str]:
    first = evaluation.first
    names = columns(list(evaluation.results), "gain" if evaluation.gains else "")
    rows: list[list[str]] = [[evaluation.evaluation, *names]]
    for metric in main_metrics(first):
        mark = " *" if metric == first.main else ""
        cells = [" ".join(filter(None, parts)) for parts in metric_cells(evaluation, metric)]
        bought = labels_bought(metric, first.details.get("labels"))
        rows.append([f"  {metric}{bought}{mark}", *cells])
    return in_blocks(rows)


def columns(names: Sequence[str], gain: str) -> list[str]:
    """Puts the gain, if there is one, behind the encoder and the control that it compares."""
    return [*names[:2], *([gain] if gain else []), *names[2:]]


def metric_cells(evaluation: SideBySide, metric: str) -> list[tuple[str, str]]:
    """Writes value and interval of a metric in the order of `columns`."""
    results = list(evaluation.results.values())
    percent = bool(results[0].main) and is_share(metric)
    cells = [estimate_parts(result.metrics[metric], percent) for result in results]
    if at_threshold(metric):
        at = [threshold_text(result.details.get("operating_point")) for result in results]
        cells = [(v, f"{ends} {t}".strip()) for (v, ends), t in zip(cells, at, strict=True)]
    if evaluation.gains:
        cells.insert(2, estimate_parts(evaluation.gains[metric], percent, signed=True))
    return cells


def _groups(evaluation: SideBySide, names: Mapping[int, str]) -> list[str]:
    """Returns remarks, and a line for each group where an evaluation reports on groups."""
    details = next(iter(evaluation.results.values())).details
    lines = [f"  {remark}" for remark in details.get("remarks", ())]
    left_out = details.get("left_out", ()) if names else ()
    lines += [f"  {each['group']} ({names[each['group']]}) {each['reason']}." for each in left_out]
    groups = group_rows(evaluation)
    if groups:
        score = details.get("group_score", next(iter(evaluation.results.values())).main)
        rows = [["  group", "images", *evaluation.results], *([f"  {g}", *c] for g, *c in groups)]
        if names:
            column = ["name", *(names[int(g)] for g, *_ in groups)]
            rows = [[row[0], name, *row[1:]] for row, name in zip(rows, column, strict=True)]
        lines += [f"  {score} of each test group in percent", *in_blocks(rows)]
    return lines


def group_rows(evaluation: SideBySide) -> list[list[str]]:
    """Writes group, number of images and the score of each encoder, if groups are reported on."""
    results = list(evaluation.results.values())
    return [
        [
            str(group["group"]),
            f"{group['images']:,}",
            *(percent_text(float(result.by_group[number])) for result in results),
        ]
        for number, group in enumerate(results[0].details.get("groups", ()))
    ]


def main_metrics(result: Result) -> list[str]:
    """Names the metrics to print: all of them, or the main one at each setting ("accuracy@5").

    The mean absolute error of grades is always printed.
    """
    kind, at, _ = result.main.partition("@")
    kept = f"{kind}@"
    return [m for m in result.metrics if not at or m.startswith(kept) or not is_share(m)]


def finetuned(values: Mapping[str, Any], out: Path) -> str:
    """Says how good a fine-tuned classifier is, where it is, and how to load it.

    Args:
        values: Content of metrics.json.
        out: Folder of the classifier.
    """
    shared, epochs = values["overlapping_groups"], plural(values["epochs"], "epoch")
    tested, point = values["tested_on"], values.get("operating_point", {})
    metrics = []
    for name, estimate in values["metrics"].items():
        mark = " *" if name == values["main"] else ""
        at = threshold_text(point) if at_threshold(name) else ""
        cell = f"{estimate_text(estimate, is_share(name))} {at}".rstrip()
        metrics.append([f"  {name}{direction(name)}{mark}", cell])
    notes = [
        tested_on(**tested),
        order_of_grades(values.get("grades", ())),
        main_metric_reason(values["main"], values["classes"]),
        positive_class(point.get("positive", ""), point.get("sensitivity")),
        LEARNED_SINCE if point else "",
        *constant_predictions({"classifier": values.get("constant", "")}),
    ]
    drawn, use = (out / GRAD_CAM).is_file(), "\n    ".join(how_to_use(out, values["architecture"]))
    if tested["groups"] < _FEW_GROUPS:
        notes.append("Six test groups are needed to tell this classifier from another.")
    return "\n".join(
        [
            *([f"WARNING: {leak_warning(shared)}"] if shared else []),
            f"After {epochs} of fine-tuning, in percent, with 95 % intervals in brackets:",
            *aligned(metrics),
            *(f"  {note}" for note in notes if note),
            *(
                [f"Grad-CAM of test images is in {out / GRAD_CAM}, their names in gradcam.csv."]
                if drawn
                else []
            ),
            f"The classifier is in {out}. {use}",
        ]
    )
