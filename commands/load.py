"""Loads an encoder together with its preprocessing."""

from os import PathLike
from pathlib import Path

from ..evaluation.extractor import FeatureExtractor


def load(folder: str | PathLike[str]) -> FeatureExtractor:
    """Loads the encoder of a run or of an export, with its preprocessing.

    `load(run)(images)` gives the features (n, D) that `embed` writes, of a list of files or of
    arrays (H, W, C) in the units of the files.

    Args:
        folder: A run, or what `export` wrote as timm or safetensors.

    Raises:
        UsageError: If the folder is neither.
        RunError: If the run has no encoder yet.
    """
    return FeatureExtractor.load(Path(folder))
