"""Predicts the next values of a window from what came before.

SIM-CNN: Self-Supervised Individualized Multimodal Learning for Stress Prediction on Nurses Using
Biosignals, Eom, Eom, Washington, 2023. https://doi.org/10.1101/2023.08.25.23294640
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, mse_loss

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import full_precision


@full_precision
def forecast_loss(predicted: Tensor, future: Tensor) -> Tensor:
    """Mean squared error over channels and steps, mean_c (x^_{c,t+1} - x_{c,t+1})^2 for one step.

    Args:
        predicted: (B, C, bands, steps).
        future: (B, C, bands, steps).
    """
    return mse_loss(predicted, future)


def split(x: Tensor, steps: int, bands: int) -> tuple[Tensor, Tensor, Tensor]:
    """Parts windows into what was and what comes.

    Args:
        x: (B, C, H, T).
        steps: Columns that come.
        bands: Rows that the H rows of a picture are averaged to; a signal has one.

    Returns:
        The past (B, C, H, T - steps), what comes (B, C, min(H, bands), steps), and the last column
        of the past, (B, C, min(H, bands), 1).
    """
    past, future = x[..., :-steps], x[..., -steps:]
    rows = min(x.shape[2], bands)
    last = adaptive_avg_pool2d(past[..., -1:], (rows, 1))
    return past, adaptive_avg_pool2d(future, (rows, steps)), last


class ForecastingConfig(Config):
    """How much is predicted."""

    steps: Annotated[
        int, Field(ge=1, description="samples of a signal, or columns of a picture")
    ] = 1
    bands: Annotated[
        int, Field(ge=1, description="rows that a picture's future is averaged to")
    ] = 8


class Forecasting(Objective):
    """Next-step forecasting, from pooled features by one linear layer.

    The skill compares the error with that of persistence, the last value before; above 0 it has
    learned something. One step is the paper's; at the rates of EEG the next sample is close to the
    last, and more steps teach more.
    """

    paper = "https://doi.org/10.1101/2023.08.25.23294640"
    Config = ForecastingConfig

    def __init__(self, encoder: Encoder, config: ForecastingConfig) -> None:
        super().__init__(encoder, config)
        if config.steps > encoder.image_size // 2:
            raise UsageError(
                f"objective.steps {config.steps} is more than half of the {encoder.image_size} "
                "that a view has."
            )
        self.head = nn.Linear(encoder.num_features, encoder.channels * config.bands * config.steps)

    @classmethod
    def views(cls, config: ForecastingConfig, size: int) -> tuple[View, ...]:
        """One view, shifted in time and otherwise as it is."""
        return (View(size, policy="weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Error of what is predicted."""
        x, config = batch.views[0], self.config
        past, future, last = split(x, config.steps, config.bands)
        predicted = self.head(self.encoder(past))
        predicted = predicted.view(len(x), x.shape[1], config.bands, config.steps)
        loss = forecast_loss(predicted[:, :, : future.shape[2]], future)
        with torch.no_grad():
            persistence = mse_loss(last.expand_as(future).float(), future.float())
            skill = 1 - loss.detach() / persistence.clamp(min=1e-9)
        return Output(loss, {"skill": skill})
