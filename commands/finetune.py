"""Fine-tunes an encoder and writes the classifier, so that plain timm loads it."""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..evaluation.comparing.arms import FINETUNE
from ..evaluation.requests import choose, prepare
from ..evaluation.tuned import TunedRun
from ..reports.grad_cam import write_grad_cam
from ..reports.printed import Record
from ..reports.text import finetuned
from ..training.layers import expand
from ..training.work import shown
from .config_file import below_flags
from .exports.classifier import tune
from .exports.common import new_folder
from .provenance import command_of, of_images


def finetune(
    model: str | PathLike[str],
    *,
    domain: str = "",
    data: str | PathLike[str] = "",
    labels: str | PathLike[str] = "",
    encoder: str = "",
    image_size: int = 0,
    holdout: float | None = None,
    config: str | PathLike[str] | None = None,
    allow_overlap: bool = False,
    strict: bool = False,
    set: Mapping[str, Any] | None = None,
    gradcam: int = 0,
    out: str | PathLike[str],
    quiet: bool = True,
) -> Record:
    """Trains a classifier on labeled images, starting from an encoder, and tests it once.

    The arguments are the flags of `ssl-kit finetune`; `out` is a new or empty folder. `gradcam` is
    the number of test images whose Grad-CAM is drawn in `gradcam.png`; `gradcam.csv` has their
    names.

    Returns:
        The content of metrics.json; printed, it is a text.
    """
    facts = {"encoder": fspath(model), "command": command_of(finetune, locals())}
    given = below_flags(locals(), [model])
    images, folder, options = of_images(given), Path(out), expand(given["set"])
    settings = {"data": options.pop("data", {})}
    chosen = choose([FINETUNE], {FINETUNE: options})[FINETUNE]
    with new_folder(folder), shown("fine-tuning", quiet) as progress:
        prepared = prepare(fspath(model), **images, evaluations=[chosen], settings=settings)
        values = tune(prepared, chosen.config, folder, facts, progress)
        if gradcam:
            write_grad_cam(TunedRun(folder), prepared.data, gradcam)
    return Record(values, folder, finetuned(values, folder))
