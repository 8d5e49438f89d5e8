from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit_histopathology.magnification import (
    Magnification,
    MagnificationConfig,
    magnification_loss,
    magnified,
)


def slow_magnified(x: np.ndarray, steps: list[int], places: np.ndarray, levels: int) -> np.ndarray:
    """Image by image: cut out the part at full resolution, then average its pixels in blocks."""
    size = x.shape[-1] // 2 ** (levels - 1)
    out = np.zeros((*x.shape[:2], size, size))
    for n, step in enumerate(steps):
        block = 2 ** (levels - 1 - step)
        row, col = (math.floor(p * (x.shape[-1] // block - size + 1)) for p in places[n])
        for r in range(size):
            for c in range(size):
                top, left = (row + r) * block, (col + c) * block
                out[n, :, r, c] = x[n, :, top : top + block, left : left + block].mean(axis=(1, 2))
    return out


def slow_loss(logits: np.ndarray, steps: list[int]) -> float:
    total = 0.0
    for row, step in zip(logits, steps, strict=True):
        total -= math.log(math.exp(row[step]) / sum(math.exp(z) for z in row))
    return total / len(steps)


def test_magnified_agrees_with_loops() -> None:
    torch.manual_seed(0)
    x, places = torch.randn(6, 2, 20, 20, dtype=torch.float64), torch.rand(6, 2)
    steps = [2, 0, 1, 2, 1, 0]
    found = magnified(x, torch.tensor(steps), places, 3)
    expected = slow_magnified(x.numpy(), steps, places.numpy().astype(float), 3)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_lowest_is_the_whole_image_and_the_highest_a_part_as_it_is() -> None:
    x = torch.arange(64.0).view(1, 1, 8, 8)
    low, high = (magnified(x, torch.tensor([step]), torch.zeros(1, 2), 2) for step in (0, 1))
    torch.testing.assert_close(low, torch.nn.functional.avg_pool2d(x, 2))
    torch.testing.assert_close(high, x[..., :4, :4])


def test_the_last_place_is_the_last_corner() -> None:
    x = torch.arange(64.0).view(1, 1, 8, 8)
    torch.testing.assert_close(
        magnified(x, torch.tensor([1]), torch.full((1, 2), 0.9999), 2), x[..., 4:, 4:]
    )


def test_loss_agrees_with_loops_and_with_guessing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 3, dtype=torch.float64)
    steps = [0, 2, 1, 1, 0]
    found = magnification_loss(logits, torch.tensor(steps)).item()
    assert found == pytest.approx(slow_loss(logits.numpy(), steps), abs=1e-9)
    guess = magnification_loss(torch.zeros(5, 3), torch.tensor(steps)).item()
    assert guess == pytest.approx(math.log(3))


def test_gradient_is_that_of_the_loss() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda z: magnification_loss(z, torch.tensor([0, 1, 2, 1])), (logits,))


@pytest.mark.parametrize(("levels", "size"), [(2, 128), (3, 256)])
def test_asks_for_the_whole_image_at_its_highest_magnification(levels: int, size: int) -> None:
    (view,) = Magnification.views(MagnificationConfig(levels=levels), 64)
    assert (view.size, view.scale, view.policy) == (size, (1.0, 1.0), "weak")


def test_learns_to_tell_magnifications() -> None:
    torch.manual_seed(0)
    objective = Magnification(create_encoder("test_resnet", 1, 16), MagnificationConfig())
    image = torch.nn.functional.interpolate(torch.randn(16, 1, 12, 12), 64, mode="bicubic")
    none = torch.zeros(16, dtype=torch.long)
    data = Batch((image,), none, none, none[:, None], ())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    skills = []
    for _ in range(25):
        output = objective(data)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        skills.append(output.metrics["magnification_accuracy"].item())
    assert np.mean(skills[-5:]) > 0.6
