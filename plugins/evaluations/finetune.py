"""Fine-tuning: the encoder and a linear head are trained on the labeled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ... import Evaluation
from ...evaluation import EvaluationData, FineTuningConfig, Pretrained, Result, fine_tune


class FineTune(Evaluation):
    """How accurate is a classifier that was fine-tuned from the encoder's weights?"""

    Config = FineTuningConfig
    trains_encoder = True
    quick: ClassVar[Mapping[str, Any]] = {"epochs": 1}

    def evaluate(self, model: Pretrained, data: EvaluationData) -> Result:
        """Chooses the number of epochs on the validation images, and tests once."""
        return fine_tune(model, data, self.config).result
