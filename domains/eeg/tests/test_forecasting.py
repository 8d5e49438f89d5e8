from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn.weights import create_encoder
from ssl_kit_eeg.forecasting import Forecasting, ForecastingConfig, relative_errors, split


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_errors_are_shares_of_those_of_persistence() -> None:
    a, b, last = (torch.randn(2, 3, 2, n, dtype=torch.float64) for n in (4, 4, 1))
    for channel in range(3):
        error = persistence = 0.0
        for row in range(2):
            for band in range(2):
                for step in range(4):
                    true = float(b[row, channel, band, step])
                    error += (float(a[row, channel, band, step]) - true) ** 2
                    persistence += (float(last[row, channel, band, 0]) - true) ** 2
        wanted = pytest.approx(error / persistence, abs=1e-9)
        assert relative_errors(a, b, last)[channel].item() == wanted


def test_a_signal_that_does_not_change_gives_finite_errors() -> None:
    still = torch.ones(2, 1, 1, 1)
    assert relative_errors(still, still, still).tolist() == [0]


def test_gradient_is_that_of_the_loss() -> None:
    predicted = torch.randn(2, 2, 1, 3, dtype=torch.float64, requires_grad=True)
    future, last = (torch.randn(2, 2, 1, n, dtype=torch.float64) for n in (3, 1))
    assert gradcheck(lambda p: relative_errors(p, future, last), (predicted,))


def test_the_past_does_not_hold_the_future() -> None:
    x = torch.arange(20.0).view(1, 2, 1, 10)
    past, future, last = split(x, 3, bands=8)
    assert past[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert future[0, 0, 0].tolist() == [7, 8, 9]
    assert last[0, :, 0, 0].tolist() == [6, 16]


def test_rows_of_a_picture_are_averaged() -> None:
    x = torch.randn(2, 1, 16, 10, dtype=torch.float64)
    _, future, last = split(x, 2, bands=4)
    means = x.numpy().reshape(2, 1, 4, 4, 10).mean(axis=3)
    np.testing.assert_allclose(future, means[..., 8:])
    np.testing.assert_allclose(last, means[..., 7:8])


def objective(**options) -> Forecasting:
    return Forecasting(create_encoder("resnet1d/tiny", 2, 64), ForecastingConfig(**options))


def batch(x: torch.Tensor) -> Batch:
    rows = torch.arange(len(x))
    return Batch((x,), rows, rows, torch.zeros(len(x), 0), ("",) * len(x))


def test_skill_is_0_for_persistence_and_1_for_the_truth() -> None:
    made, x = objective(), torch.randn(4, 2, 1, 64)
    assert made(batch(x)).metrics["skill"].item() == 0
    change = x[:, :, 0, -1] - x[:, :, 0, -2]
    made.encoder.forward = lambda past: torch.cat([change, torch.zeros(4, 62)], dim=1)
    made.head.weight.data[0, 0] = made.head.weight.data[8, 1] = 1
    assert made(batch(x)).metrics["skill"].item() == pytest.approx(1, abs=1e-6)


def test_a_slow_signal_is_forecast_better_than_by_persistence() -> None:
    start, slope = torch.randn(2, 64, 2, 1, 1)
    x = 10 * start + slope / 8 * torch.arange(64)  # levels differ far more than they change
    made = objective(steps=8)
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    for _ in range(12):
        output = made(batch(x))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.metrics["skill"].item() > 0.3


def test_the_level_of_a_signal_changes_nothing() -> None:
    made, x = objective(), torch.randn(4, 2, 1, 64, dtype=torch.float64)
    made.double().head.weight.data.normal_()
    losses = [made(batch(each)).loss.item() for each in (x, x + torch.randn(4, 2, 1, 1).double())]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


def test_more_than_half_of_a_view_is_refused() -> None:
    with pytest.raises(UsageError, match="more than half"):
        objective(steps=40)
