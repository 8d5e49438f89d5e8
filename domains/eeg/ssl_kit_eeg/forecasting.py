"""Forecasting: prediction of the next values of a signal from its past, as changes.

SIM-CNN: Self-Supervised Individualized Multimodal Learning for Stress Prediction on Nurses Using
Biosignals, Eom, Eom, Washington, 2023. https://doi.org/10.1101/2023.08.25.23294640
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ssl_kit import Batch, Config, Encoder, Objective, Output, UsageError, View
from ssl_kit.nn import all_gather, full_precision

_LEAST = 1e-4  # error of persistence, in variances of the signal: one that does not change


@full_precision
def relative_errors(predicted: Tensor, future: Tensor, last: Tensor) -> Tensor:
    """Computes the error of a forecast of each channel as a share of that of persistence.

    Args:
        predicted: (B, C, bands, steps) predicted values.
        future: (B, C, bands, steps) true values.
        last: (B, C, bands, 1) last values of the past, which persistence repeats.

    Returns:
        (C,) mean squared errors over the batch, bands and steps, divided by those of persistence.
        With several processes these are over the batches of all.
    """
    persistence = all_gather((last - future).square().mean(dim=(2, 3))).mean(dim=0)
    return (predicted - future).square().mean(dim=(0, 2, 3)) / persistence.clamp(min=_LEAST)


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

    https://doi.org/10.1101/2023.08.25.23294640 with x^_{c,t+1} = x_{c,t} + W h, where h are the
    pooled features of the past minus its last value, and W starts at zero: training starts at
    persistence, which repeats the last value. So the level of a signal, which drifts, is neither
    needed nor seen, as in NLinear (Zeng et al. 2023, https://arxiv.org/abs/2205.13504). The loss is
    mean_c (x^_{c,t+1} - x_{c,t+1})^2 / (x_{c,t} - x_{c,t+1})^2 with both squares averaged over the
    batch, so that slow channels count as much as fast ones; the skill is 1 minus this.
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
        """Computes the loss, and the skill against persistence, at most 1."""
        x, config = batch.views[0], self.config
        past, future, last = split(x, config.steps, config.bands)
        change = self.head(self.encoder(past - past[..., -1:]))
        change = change.view(len(x), x.shape[1], config.bands, config.steps)
        loss = relative_errors(last + change[:, :, : future.shape[2]], future, last).mean()
        return Output(loss, {"skill": 1 - loss.detach()})
