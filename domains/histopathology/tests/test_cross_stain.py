from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from ssl_kit import Batch, TrainingInfo, UsageError
from ssl_kit.nn import PyramidDecoder
from ssl_kit.nn.weights import create_encoder
from ssl_kit_histopathology.cross_stain import (
    CrossStain,
    CrossStainConfig,
    stain_loss,
    stained,
    unmix,
)
from ssl_kit_histopathology.demo import Demo
from ssl_kit_histopathology.stains import HED

MEAN, STD = (0.7, 0.5, 0.7), (0.2, 0.2, 0.2)


def made(channels: int = 3) -> CrossStain:
    torch.manual_seed(0)
    objective = CrossStain(
        create_encoder("test_resnet", channels, 32), CrossStainConfig(decoder_dim=16)
    )
    objective.prepare(TrainingInfo(8, 4, MEAN, STD))
    return objective


def batch() -> Batch:
    demo = Demo()
    images = np.stack([demo.read(i)[:32, :32] for i in range(0, 588, 49)])
    x = torch.from_numpy(images / 255).float().permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    none = torch.zeros(len(x), dtype=torch.long)
    return Batch(((x - mean) / std,), none, none, none[:, None], ())


def slow_unmix(rgb: np.ndarray) -> np.ndarray:
    """Pixel by pixel: which concentrations add up to the density."""
    out = np.zeros(rgb.shape)
    for b, _, r, c in np.ndindex(rgb.shape[0], 1, *rgb.shape[2:]):
        density = -np.log(np.maximum(rgb[b, :, r, c], 1 / 255))
        out[b, :, r, c] = np.linalg.solve(HED.T, density)
    return out


def slow_loss(predicted: np.ndarray, concentrations: np.ndarray, hidden: list[int]) -> float:
    total, count = 0.0, 0
    for b, _, r, c in np.ndindex(len(predicted), 1, *predicted.shape[2:]):
        total += (predicted[b, hidden[b], r, c] - concentrations[b, hidden[b], r, c]) ** 2
        count += 1
    return total / count


def test_unmix_agrees_with_loops() -> None:
    torch.manual_seed(0)
    rgb = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    np.testing.assert_allclose(unmix(rgb), slow_unmix(rgb.numpy()), atol=1e-9)


def test_staining_is_the_inverse_of_unmixing() -> None:
    rgb = 0.01 + 0.99 * torch.rand(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(stained(unmix(rgb)), rgb)


def test_one_stain_alone_has_its_color() -> None:
    concentrations = torch.zeros(1, 3, 1, 1, dtype=torch.float64)
    concentrations[0, 0] = 0.7
    np.testing.assert_allclose(stained(concentrations)[0, :, 0, 0], np.exp(-0.7 * HED[0]))


def test_loss_agrees_with_loops() -> None:
    torch.manual_seed(0)
    predicted, target = torch.randn(2, 4, 2, 3, 5, dtype=torch.float64).unbind()
    hidden = [0, 1, 1, 0]
    found = stain_loss(predicted, target, torch.tensor(hidden)).item()
    assert found == pytest.approx(slow_loss(predicted.numpy(), target.numpy(), hidden), abs=1e-9)


def test_only_the_hidden_stain_counts() -> None:
    target = torch.randn(2, 2, 3, 3)
    predicted = target.clone()
    predicted[0, 0] += 5
    predicted[1, 1] += 5
    assert stain_loss(predicted, target, torch.tensor([1, 0])).item() == 0


def test_gradient_is_that_of_the_loss() -> None:
    x, y = torch.randn(2, 3, 2, 2, 2, dtype=torch.float64, requires_grad=True).unbind()
    assert gradcheck(lambda a, b: stain_loss(a, b, torch.tensor([0, 1, 1])), (x, y))


def test_the_decoder_gives_a_map_of_the_finest_level() -> None:
    levels = [torch.randn(2, 4, 19, 19), torch.randn(2, 6, 10, 10), torch.randn(2, 8, 5, 5)]
    assert PyramidDecoder([4, 6, 8], 16, 2)(levels).shape == (2, 2, 19, 19)


def test_the_hidden_stain_does_not_reach_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    objective, data = made(), batch()
    seen: list[Tensor] = []
    encode = objective.encoder.forward_pyramid
    monkeypatch.setattr(
        objective.encoder, "forward_pyramid", lambda x: (seen.append(x), encode(x))[1]
    )
    objective(data)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    there = unmix(seen[0] * std + mean)
    clear = there[:, :2].clamp(min=0).amax(dim=(2, 3)) < 1e-3
    assert (clear.sum(dim=1) == 1).all()
    assert clear[:, 0].any()
    assert clear[:, 1].any()
    assert there[:, 2].abs().max() < 1e-3


def test_other_channels_than_rgb_are_refused() -> None:
    with pytest.raises(UsageError, match="4 channels"):
        made(4)


def test_skill_rises_on_tissue() -> None:
    objective, data = made(), batch()
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    skills = []
    for _ in range(20):
        output = objective(data)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        skills.append(output.metrics["stain_skill"].item())
    assert np.mean(skills[-3:]) > max(np.mean(skills[:3]), 0.1)
