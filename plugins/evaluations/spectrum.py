"""Label-free measures of a representation, as the collapse watch takes them during training."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from ... import Config, Evaluation, UsageError
from ...data import evenly_spaced
from ...evaluation import Estimate, EvaluationData, Pretrained, Result, representation_metrics


class SpectrumConfig(Config):
    """Options of the evaluation."""

    images: Annotated[
        int, Field(ge=8, description="evenly spread over the dataset, labeled or not")
    ] = 1024
    views: Annotated[int, Field(ge=2, description="of each image, which LiDAR compares")] = 4


class Spectrum(Evaluation):
    """How many directions do features use, and do views agree? Needs no labels.

    RankMe, alpha-ReQ, LiDAR, alignment, uniformity and their kin: see `measure` for each. Compare
    only encoders of the same width on the same images; none says alone which is better, and none
    has an interval, as drawing images twice lowers a rank.
    """

    Config = SpectrumConfig

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Measures random views of images from all parts, since no label is looked at."""
        n = len(data.dataset)
        chosen = evenly_spaced(n, self.config.images)
        features = data.embed_views(model, chosen, self.config.views)
        if len(features) < 4:
            raise UsageError(f"A spectrum needs at least 4 images that can be read, not {n}.")
        found = representation_metrics(torch.from_numpy(features))
        metrics = {name: Estimate(value, np.nan, np.nan) for name, value in found.items()}
        images, views, width = features.shape
        return Result(metrics, details={"images": images, "views": views, "width": width})
