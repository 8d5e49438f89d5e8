"""Label-free measures of a representation, the same as those of the collapse watch."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from ... import Config, Evaluation, UsageError
from ...data import evenly_spaced
from ...evaluation import Estimate, EvaluationData, Pretrained, Result, representation_metrics

LIDAR_REMARK = (
    "LiDAR says little: there are {width} features, more than the {freedom} degrees of freedom "
    "within images, so that its value depends on the regularization (delta). Raise "
    "spectrum.images or spectrum.views."
)


class SpectrumConfig(Config):
    """Options of the evaluation."""

    images: Annotated[
        int, Field(ge=8, description="number of images, evenly spread over the dataset")
    ] = 1024
    views: Annotated[int, Field(ge=2, description="number of views of an image, for LiDAR")] = 4


class Spectrum(Evaluation):
    """How many dimensions do the features use, and do views agree? Needs no labels.

    The measures are those of `representation_metrics`: RankMe, alpha-ReQ, LiDAR, alignment,
    uniformity and others. Compare only encoders with the same number of features on the same
    images. None of the measures alone says which encoder is better, and none has an interval,
    because a rank depends on the number of images.
    """

    Config = SpectrumConfig

    def check(self, data: EvaluationData) -> None:
        """Refuses fewer than 4 images; it needs no labels."""
        if len(data.dataset) < 4:
            raise UsageError(f"A spectrum needs at least 4 images, not {len(data.dataset)}.")

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Measures random views of images of all parts, because no label is used."""
        n = len(data.dataset)
        chosen = evenly_spaced(n, self.config.images)
        features = data.embed_views(model, chosen, self.config.views)
        if len(features) < 4:
            raise UsageError(
                f"A spectrum needs at least 4 readable images, not {len(features)}; see the files."
            )
        measures = representation_metrics(torch.from_numpy(features))
        metrics = {name: Estimate(value, np.nan, np.nan) for name, value in measures.items()}
        images, views, width = features.shape
        remarks = [LIDAR_REMARK.format(width=width, freedom=images * (views - 1))]
        return Result(
            metrics,
            details={
                "images": images,
                "views": views,
                "width": width,
                "remarks": remarks if measures["lidar_freedom"] < 1 else [],
            },
        )
