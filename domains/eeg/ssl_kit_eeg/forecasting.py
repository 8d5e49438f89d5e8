"""Forecasting: prediction of the next values of a signal from its past, as changes.

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
    """Computes the mean squared error over channels and steps.

    Args:
        predicted: (B, C, bands, steps) predicted values.
        future: (B, C, bands, steps) true values.
    """
    return mse_loss(predicted, future)


def split(x: Tensor, steps: int, bands: int) -> tuple[Tensor, Tensor, Tensor]:
    """Splits windows into past and future.

    Args:
        x: (B, C, H, T) windows.
        steps: Number of columns of the future.
        bands: Number of rows that the H rows of a picture are averaged to; a signal has one row.

    Returns:
        The past (B, C, H, T - steps), the future (B, C, min(H, bands), steps), and the last column
        of the past (B, C, min(H, bands), 1).
    """
    past, future = x[..., :-steps], x[..., -steps:]
    rows = min(x.shape[2], bands)
    last = adaptive_avg_pool2d(past[..., -1:], (rows, 1))
    return past, adaptive_avg_pool2d(future, (rows, steps)), last


class ForecastingConfig(Config):
    """Options of the predicted part of a window."""

    steps: Annotated[
        int, Field(ge=1, description="predicted samples of a signal, or columns of a picture")
    ] = 1
    bands: Annotated[
        int, Field(ge=1, description="number of rows that a predicted picture is averaged to")
    ] = 8


class Forecasting(Objective):
    """Next-step forecasting: a linear layer predicts changes from the last value of the past.

    https://doi.org/10.1101/2023.08.25.23294640, with the loss mean_c (x^_{c,t+1} - x_{c,t+1})^2 and
    x^_{c,t+1} = x_{c,t} + W h, where h are pooled features and W starts at zero: training starts at
    persistence, which predicts the last value. Without x_{c,t}, features that are averages over
    time must hold the last value of each channel, and do worse than persistence. The skill is
    1 - error / error of persistence. The paper predicts one step; where a signal is sampled much
    faster than it changes, the next sample is the last one, so that more steps teach more.
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
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @classmethod
    def views(cls, config: ForecastingConfig, size: int) -> tuple[View, ...]:
        """One view that is only shifted in time."""
        return (View(size, policy="weak"),)

    def forward(self, batch: Batch, phase: int = 0) -> Output:
        """Computes the forecast loss, and its skill against persistence."""
        x, config = batch.views[0], self.config
        past, future, last = split(x, config.steps, config.bands)
        change = self.head(self.encoder(past))
        change = change.view(len(x), x.shape[1], config.bands, config.steps)
        predicted = last + change[:, :, : future.shape[2]]
        loss = forecast_loss(predicted, future)
        with torch.no_grad():
            persistence = mse_loss(last.expand_as(future).float(), future.float())
            skill = 1 - loss.detach() / persistence.clamp(min=1e-9)
        return Output(loss, {"skill": skill})
