"""The loss agrees with the authors' code, too: https://github.com/microsoft/SimMIM
(`SimMIM.forward`)."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from ssl_kit import Batch
from ssl_kit.nn import upsample_mask
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.simmim import SimMIM, SimMIMConfig, masked_l1


@pytest.fixture
def sample():
    torch.manual_seed(0)
    predicted, x = torch.randn(2, 3, 2, 4, 5, dtype=torch.float64)
    hidden = torch.rand(3, 1, 4, 5) < 0.5
    return predicted, x, hidden


def make(name="test_resnet", channels=3, size=32):
    torch.manual_seed(0)
    return SimMIM(create_encoder(name, channels, size), SimMIMConfig())


def make_batch(*shape):
    torch.manual_seed(1)
    none = torch.zeros(shape[0], dtype=torch.long)
    return Batch((torch.randn(shape),), none, none, none[:, None], ())


def slow_l1(predicted, x, hidden):
    """Section 3.4 with loops: ||y_M - x_M||_1 / Omega(x_M), mean over images."""
    total = 0.0
    b, c, height, width = x.shape
    for n in range(b):
        error, count = 0.0, 0
        for i in range(height):
            for j in range(width):
                for k in range(c) if hidden[n, 0, i, j] else ():
                    error += abs(predicted[n, k, i, j].item() - x[n, k, i, j].item())
                    count += 1
        total += error / count
    return total / b


def test_loss_agrees_with_section_3_4(sample):
    assert masked_l1(*sample).item() == pytest.approx(slow_l1(*sample), abs=1e-9)


def test_loss_counts_hidden_pixels_only():
    x, hidden = torch.zeros(1, 2, 1, 2), torch.tensor([[[[True, False]]]])
    predicted = torch.tensor([[[[1.0, 9.0]], [[-4.0, 9.0]]]])
    assert masked_l1(predicted, x, hidden) == 2.5
    assert masked_l1(x, x, hidden) == 0


def test_images_may_be_permuted_together(sample):
    order = torch.tensor([2, 0, 1])
    permuted = masked_l1(*(part[order] for part in sample))
    torch.testing.assert_close(permuted, masked_l1(*sample))


def test_gradient_is_that_of_the_loss(sample):
    predicted, x, hidden = sample
    assert gradcheck(masked_l1, (predicted.requires_grad_(), x, hidden))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_hidden_pixels_do_not_influence_what_is_restored(name):
    objective, x = make(name, size=64), make_batch(2, 3, 64, 64).views[0]
    mask = objective.cover.draw(x, 0.6)
    other = torch.where(upsample_mask(mask, (64, 64)), torch.randn_like(x), x)
    assert torch.equal(objective.restore(other, mask), objective.restore(x, mask))
    assert not torch.equal(objective.restore(other + 1, mask), objective.restore(x, mask))


def test_each_cell_of_the_map_restores_its_own_pixels():
    objective = make(channels=2, size=64)
    nn.init.zeros_(objective.head.weight)
    objective.head.bias.data = torch.arange(2 * 32 * 32.0)
    x = make_batch(1, 2, 64, 64).views[0]
    restored = objective.restore(x, objective.cover.draw(x, 0.6))
    tile = torch.arange(2 * 32 * 32.0).view(2, 32, 32)
    assert torch.equal(restored[0], tile.repeat(1, 2, 2))


@pytest.mark.parametrize("shape", [(37, 37), (48, 48), (1, 64)])
def test_any_shape_is_restored_whole(shape):
    objective, batch = make(size=shape[1]), make_batch(2, 3, *shape)
    x = batch.views[0]
    assert objective.restore(x, objective.cover.draw(x, 0.6)).shape == x.shape
    assert objective(batch).loss.isfinite()


def test_skill_is_none_for_the_mean_color():
    objective = make()
    nn.init.zeros_(objective.head.weight)
    nn.init.zeros_(objective.head.bias)
    assert objective(make_batch(4, 3, 32, 32)).metrics["reconstruction_skill"] == 0
