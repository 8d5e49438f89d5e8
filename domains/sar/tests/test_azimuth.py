from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from ssl_kit import Batch, Config
from ssl_kit.nn.weights import create_encoder
from ssl_kit_sar.azimuth import Azimuth, degrees_apart, direction_loss, turned


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    predicted, direction = torch.randn(2, 6, 2, dtype=torch.float64).unbind()
    return predicted, direction


@pytest.fixture
def objective() -> Azimuth:
    torch.manual_seed(0)
    return Azimuth(create_encoder("test_resnet", 1, 32), Config())


def batch(positions: Tensor) -> Batch:
    torch.manual_seed(1)
    none = torch.zeros(len(positions), dtype=torch.long)
    return Batch((torch.randn(len(positions), 1, 32, 32),), none, none, positions, ())


def slow_direction_loss(p: np.ndarray, q: np.ndarray) -> float:
    """1 - cos of the difference of the two angles, with loops."""
    gaps = [math.atan2(*a[::-1]) - math.atan2(*b[::-1]) for a, b in zip(p, q, strict=True)]
    return sum(1 - math.cos(gap) for gap in gaps) / len(gaps)


def test_loss_agrees_with_angles(pair: tuple[Tensor, Tensor]) -> None:
    found = direction_loss(*pair).item()
    assert found == pytest.approx(slow_direction_loss(*(p.numpy() for p in pair)), abs=1e-9)


def test_loss_of_known_directions() -> None:
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert direction_loss(east, 5 * east).item() == pytest.approx(0, abs=1e-6)
    assert direction_loss(east, north).item() == pytest.approx(1)
    assert direction_loss(east, -east).item() == pytest.approx(2)
    assert degrees_apart(east, north).item() == pytest.approx(90)


def test_all_directions_may_be_turned_together(pair: tuple[Tensor, Tensor]) -> None:
    c, s = math.cos(0.7), math.sin(0.7)
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    torch.testing.assert_close(direction_loss(*(p @ turn for p in pair)), direction_loss(*pair))


def test_gradient_is_that_of_the_loss(pair: tuple[Tensor, Tensor]) -> None:
    predicted, direction = pair
    assert gradcheck(direction_loss, (predicted.requires_grad_(), direction))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_is_counter_clockwise_about_the_center(quarters: int) -> None:
    x = torch.randn(1, 2, 16, 16, dtype=torch.float64)
    out = turned(x, torch.tensor([quarters * math.pi / 2], dtype=torch.float64))
    y, x_ = torch.meshgrid(torch.arange(16) - 7.5, torch.arange(16) - 7.5, indexing="ij")
    inside = x_**2 + y**2 <= 64
    torch.testing.assert_close(out[..., inside], x.rot90(quarters, (2, 3))[..., inside])
    assert (out[..., ~inside] == 0).all()


def test_known_azimuths_are_the_targets_and_their_images_are_left_alone(
    objective: Azimuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    angles = torch.tensor([0.1, 2.0, 4.0])
    data = batch(torch.stack([angles.cos(), angles.sin()], dim=1))
    seen = []
    encode = objective.encoder.forward
    monkeypatch.setattr(objective.encoder, "forward", lambda x: (seen.append(x), encode(x))[1])
    predicted = objective.head(encode(data.views[0]))
    output = objective(data)
    assert torch.equal(seen[0], data.views[0])
    torch.testing.assert_close(output.loss, direction_loss(predicted, data.positions))


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([[0.0, 0.0], [0.0, 0.0], [0.6, 0.8]], [False, False, True]),
        ([[16.0, 48.0], [0.0, 0.0], [0.0, 1.0]], [False, False, False]),
    ],
    ids=["directions", "tiles"],
)
def test_other_positions_are_no_azimuths(
    positions: list[list[float]],
    expected: list[bool],
    objective: Azimuth,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = batch(torch.tensor(positions))
    seen = []
    encode = objective.encoder.forward
    monkeypatch.setattr(objective.encoder, "forward", lambda x: (seen.append(x), encode(x))[1])
    objective(data)
    kept = [torch.equal(a, b) for a, b in zip(seen[0], data.views[0], strict=True)]
    assert kept == expected


def test_asks_for_one_view_that_is_upright() -> None:
    (view,) = Azimuth.views(Config(), 64)
    assert (view.size, view.policy) == (64, "upright")


def test_learns_the_azimuth_of_a_small_batch(objective: Azimuth) -> None:
    angles = torch.linspace(0, 6, 8)
    data = batch(torch.stack([angles.cos(), angles.sin()], dim=1))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    errors = []
    for _ in range(10):
        output = objective(data)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(output.metrics["degrees"].item())
    assert errors[-1] < errors[0]
