"""Classifiers of a recipe's runs, which are fine-tuned for their pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...evaluation.comparing.arms import FINETUNE
from ...reports.text import GRAD_CAM
from ...training.recipe import Comparison
from ..finetune import finetune


def draw_grad_cam(quiet: bool, run: Path, comparison: Comparison, folder: Path) -> None:
    """Fine-tunes a run as a comparison does, and draws Grad-CAM, unless it was done.

    Args:
        quiet: Whether to show nothing but warnings.
        run: Folder of the run.
        comparison: Has the options, and the number of images.
        folder: Of the classifier and its pictures.
    """
    if (folder / GRAD_CAM).is_file():  # it is written last
        return
    shutil.rmtree(folder, ignore_errors=True)  # an interrupted attempt
    tables = comparison.options
    options = {**tables.get(FINETUNE, {}), "data": tables.get("data", {})}
    finetune(run, set=options, gradcam=comparison.gradcam, out=folder, quiet=quiet)
