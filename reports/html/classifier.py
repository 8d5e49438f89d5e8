"""What the page of a fine-tuned classifier shows."""

from __future__ import annotations

from typing import Any

from ...evaluation.records import load_evaluations
from ...evaluation.tuned import RESULT, TunedRun
from ..text import GRAD_CAM
from . import evaluations, facts
from .axes import number
from .pictures import png


def context(run: TunedRun) -> dict[str, Any]:
    """Returns the values of the page of a classifier, from the files of its folder alone.

    Raises:
        DataError: If a stored evaluation is damaged.
    """
    metrics, encoder = run.read_json(RESULT), run.read_json("encoder.json")
    classes = run.classes
    return {
        "run": run,
        "name": run.folder.resolve().name,
        "classes": classes,
        "facts": [
            ("Domain", run.config.domain),
            ("Encoder", f"{encoder['architecture']}, {encoder['image_size']} px"),
            ("Started from", str(metrics["initial_weights"])),
            ("Classes", ", ".join(classes)),
            ("Channels", ", ".join(encoder["channels"])),
            ("Epochs", f"{metrics['epochs']} of at most {metrics['of_epochs']}"),
            ("Training loss at the end", number(metrics["training_loss"])),
        ],
        "chance": _chance(metrics["metrics"]),
        "data": metrics["data"]["path"] or "the demo images of the domain",
        "loading": _loading(run, encoder),
        "evaluations": [evaluations.section(evaluation) for evaluation in load_evaluations(run)],
        "gradcam": grad_cam_of(run),
        "command": metrics["command"],
        "options": list(facts.rows_of(metrics["config"])),
        "versions": list(facts.rows_of(metrics["versions"])),
        "fingerprint": metrics["data"]["fingerprint"],
    }


def grad_cam_of(run: TunedRun) -> str:
    """Returns the sheet of Grad-CAM pictures as a data URI; "" if none was drawn."""
    file = run.folder / GRAD_CAM
    return png(file.read_bytes()) if file.is_file() else ""


def _chance(metrics: facts.Record) -> str:
    """Says that AUROC may be that of guesses; "" if it is not."""
    low, high = (metrics.get("auroc", {}).get(end) for end in ("low", "high"))
    if low is None or high is None or not low <= 0.5 <= high:
        return ""
    return (
        "The interval of AUROC contains 50 %, the value of guesses: this test does not show that "
        "the classifier tells the classes apart."
    )


def _loading(run: TunedRun, encoder: facts.Record) -> str:
    """Returns Python code that loads the classifier and uses it; "" if timm cannot."""
    if "/" in encoder["architecture"]:
        return ""
    lines = [
        "import timm",
        "import torch",
        f'classifier = timm.create_model("local-dir:{run.folder.as_posix()}", pretrained=True)',
        "classifier.eval()",
        *facts.standardizing(encoder),
        "probabilities = classifier((x - mean) / std).softmax(dim=1)",
    ]
    return "\n".join(lines)
