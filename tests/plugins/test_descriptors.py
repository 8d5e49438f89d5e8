"""Against loops over pixels."""

import math

import pytest
import torch

from ssl_kit import Batch
from ssl_kit.nn import image_descriptors
from ssl_kit.nn.descriptors import binary_patterns, gradient_magnitudes, histogram
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.descriptors import (
    Descriptors,
)


def at(y, row, column):
    return y[min(max(row, 0), len(y) - 1)][min(max(column, 0), len(y[0]) - 1)]


def slow_pattern(y, row, column):
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    bits = [at(y, row + r, column + c) >= y[row][column] for r, c in around]
    changes = sum(bits[k] != bits[k - 1] for k in range(8))
    return sum(bits) if changes <= 2 else 9


def slow_gradient(y, row, column):
    across = at(y, row, column + 1) - at(y, row, column - 1)
    return math.hypot(across, at(y, row + 1, column) - at(y, row - 1, column))


def slow_histogram(values, low, high, bins):
    counts = [0] * bins
    for value in values:
        counts[min(max(int((value - low) / (high - low) * bins), 0), bins - 1)] += 1
    return [count / len(values) for count in counts]


@pytest.mark.parametrize("shape", [(6, 7), (1, 9)], ids=["image", "signal"])
def test_patterns_and_gradients_are_those_of_a_loop(shape):
    y = torch.randint(0, 4, (2, *shape)).float()  # equal neighbors are common
    patterns, magnitudes = binary_patterns(y), gradient_magnitudes(y)
    for image, found, sizes in zip(y.tolist(), patterns, magnitudes, strict=True):
        for row in range(shape[0]):
            for column in range(shape[1]):
                assert found[row, column] == slow_pattern(image, row, column)
                expected = pytest.approx(slow_gradient(image, row, column), rel=1e-6)
                assert sizes[row, column].item() == expected


def test_a_histogram_is_that_of_a_loop():
    x = torch.randn(3, 4, 5) * 2
    found = histogram(x, -2.5, 2.5, 16)
    for row, values in zip(found.tolist(), x.flatten(1).tolist(), strict=True):
        assert row == pytest.approx(slow_histogram(values, -2.5, 2.5, 16))


@pytest.mark.parametrize(("channels", "width"), [(1, 76), (3, 156), (13, 476)])
def test_each_histogram_has_a_sum_of_one(channels, width):
    found = image_descriptors(torch.randn(2, channels, 16, 16))
    assert found.shape == (2, width)
    histograms = 1 if channels == 1 else 2 * channels
    assert found.square().sum(dim=1).tolist() == pytest.approx([histograms + 6] * 2)


def test_turned_and_mirrored_images_have_the_same_descriptors():
    x = torch.randn(2, 3, 16, 16)
    for altered in (x.rot90(1, dims=(2, 3)), x.flip(3)):
        torch.testing.assert_close(image_descriptors(altered), image_descriptors(x))


def test_the_loss_is_that_of_standardized_descriptors():
    objective = Descriptors(create_encoder("test_resnet", 3, 32), Descriptors.Config())
    crop, whole = torch.randn(8, 3, 32, 32), torch.randn(8, 3, 32, 32)
    nothing = torch.zeros(8, dtype=torch.long)
    loss = objective(Batch((crop, whole), nothing, nothing, nothing[:, None], ())).loss
    d = image_descriptors(whole).double()
    z = (d - d.mean(dim=0)) / (d.var(dim=0, unbiased=False) + 0.02**2).sqrt()
    error = objective.head(objective.encoder(crop)).double() - z
    assert loss.item() == pytest.approx(error.square().mean().item(), rel=1e-4)
