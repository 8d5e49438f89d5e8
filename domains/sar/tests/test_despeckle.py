from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn.weights import create_encoder
from ssl_kit_sar.despeckle import (
    Despeckle,
    DespeckleConfig,
    halves,
    noise2noise,
    other_channels,
)


def slow_halves(x: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel by pixel: the two pixels of a cell with the lowest draws, and the others."""
    b, c, height, width = x.shape
    out = np.zeros((2, b, c, height // 2, width // 2))
    for n in range(b):
        for row in range(height // 2):
            for col in range(width // 2):
                order = np.argsort(draws[n, :, row, col])
                for channel in range(c):
                    cell = [x[n, channel, 2 * row + k // 2, 2 * col + k % 2] for k in range(4)]
                    for half in (0, 1):
                        pair = [cell[k] for k in order[2 * half : 2 * half + 2]]
                        out[half, n, channel, row, col] = sum(pair) / 2
    return out[0], out[1]


def made(channels: int = 1, **options: str) -> Despeckle:
    torch.manual_seed(0)
    return Despeckle(create_encoder("test_resnet", channels, 32), DespeckleConfig(**options))


def batch(view: Tensor) -> Batch:
    none = torch.zeros(len(view), dtype=torch.long)
    return Batch((view,), none, none, none[:, None], ())


def test_halves_agree_with_loops() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64)
    draws = torch.rand(2, 4, 3, 2, dtype=torch.float64)
    for found, expected in zip(
        halves(x, draws), slow_halves(x.numpy(), draws.numpy()), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_halves_share_no_pixel_and_leave_none_out() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    first, second = halves(x, torch.rand(1, 4, 2, 2))
    torch.testing.assert_close((first + second) / 2, torch.nn.functional.avg_pool2d(x, 2))
    assert not torch.equal(first, second)


def test_noise_of_the_two_halves_is_independent() -> None:
    torch.manual_seed(0)
    first, second = halves(torch.randn(1, 1, 200, 200), torch.rand(1, 4, 100, 100))
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.03


def test_other_channels_swaps_by_draw() -> None:
    x = torch.arange(8.0).view(2, 4, 1, 1)
    seen, hidden = other_channels(x, torch.tensor([0.1, 0.9]))
    assert seen.flatten(1).tolist() == [[0, 1, 0, 1], [6, 7, 6, 7]]
    assert hidden.flatten(1).tolist() == [[2, 3], [4, 5]]


def test_loss_of_known_values_and_against_loops() -> None:
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 4.0]])
    assert noise2noise(a, b).item() == 2
    x, y = torch.randn(2, 2, 3, dtype=torch.float64)
    slow = sum(
        (p - q) ** 2 for p, q in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)
    )
    assert noise2noise(x, y).item() == pytest.approx(slow / 6, abs=1e-9)


def test_the_best_prediction_of_a_noisy_target_is_its_mean() -> None:
    torch.manual_seed(0)
    target = 3 + torch.randn(4000, dtype=torch.float64)
    at = [noise2noise(torch.full_like(target, level), target).item() for level in (2.9, 3.0, 3.1)]
    assert min(at) == at[1]


def test_gradient_is_that_of_the_loss() -> None:
    x, y = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True).unbind()
    assert gradcheck(noise2noise, (x, y))


def test_asks_for_twice_the_pixels_only_where_pixels_are_shared_out() -> None:
    assert Despeckle.views(DespeckleConfig(), 64)[0].size == 128
    assert Despeckle.views(DespeckleConfig(looks="channels"), 64)[0].size == 64


def test_hidden_channels_do_not_reach_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = made(2, looks="channels")
    seen = []
    encode = objective.encoder.forward_map
    monkeypatch.setattr(objective.encoder, "forward_map", lambda x: (seen.append(x), encode(x))[1])
    x = torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)], dim=1)
    objective(batch(x))
    assert all(len(image.unique()) == 1 for image in seen[0])


def test_single_channels_have_no_other_half() -> None:
    with pytest.raises(UsageError, match="sublooks"):
        made(1, looks="channels")


@pytest.mark.parametrize("options", [{}, {"looks": "channels"}])
def test_skill_rises_on_a_smooth_image(options: dict[str, str]) -> None:
    objective = made(2, **options)
    torch.manual_seed(1)
    size = objective.views(objective.config, 32)[0].size
    smooth = torch.nn.functional.interpolate(torch.randn(8, 1, 3, 3), size=size, mode="bicubic")
    data = batch(smooth.expand(-1, 2, -1, -1) + 0.1 * torch.randn(8, 2, size, size))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    skills = []
    for _ in range(15):
        output = objective(data)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        skills.append(output.metrics["skill"].item())
    assert skills[-1] > max(skills[0], 0.1)
