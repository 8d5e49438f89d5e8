"""The loss agrees with the authors' code, too:
https://github.com/gidariss/FeatureLearningRotNet (`algorithms/ClassificationModel.py`)."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from ssl_kit import Batch, Config
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.rotation import Rotation, four_rotations, rotation_loss


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(12, 4, dtype=torch.float64)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    none = torch.zeros(6, dtype=torch.long)
    return Batch((torch.randn(6, 3, 32, 32),), none, none, none[:, None], ())


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return Rotation(create_encoder("test_resnet", 3, 32), Config())


def slow_rotation_loss(logits):
    """Eq. 2 and 3 with loops: -log of the probability of each image's rotation y."""
    rows, images = logits.tolist(), len(logits) // 4
    total = 0.0
    for image in range(images):
        for y in range(4):
            row = rows[y * images + image]
            total -= math.log(math.exp(row[y]) / sum(math.exp(value) for value in row))
    return total / len(rows)


def test_loss_agrees_with_equation_3(logits):
    assert rotation_loss(logits).item() == pytest.approx(slow_rotation_loss(logits), abs=1e-9)


def test_loss_of_guessing_and_of_knowing():
    assert rotation_loss(torch.zeros(8, 4)).item() == pytest.approx(math.log(4))
    sure = 100 * torch.eye(4).repeat_interleave(2, dim=0)
    assert rotation_loss(sure).item() == pytest.approx(0, abs=1e-9)


def test_images_may_be_permuted_within_a_rotation_only(logits):
    within = logits.view(4, 3, 4)[:, [2, 0, 1]].flatten(0, 1)
    torch.testing.assert_close(rotation_loss(within), rotation_loss(logits))
    assert not torch.isclose(rotation_loss(logits.roll(3, dims=0)), rotation_loss(logits))


def test_gradient_is_that_of_the_loss(logits):
    assert gradcheck(rotation_loss, (logits.requires_grad_(),))


def test_images_are_turned_as_numpy_turns_them():
    x = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4)
    turned = four_rotations(x).view(4, 2, 3, 4, 4)
    for k in range(4):
        expected = np.rot90(x.numpy(), k, axes=(2, 3))
        assert (turned[k].numpy() == expected).all()


def test_a_quarter_turn_is_counter_clockwise():
    image = torch.tensor([[1, 2], [3, 4]])[None, None]
    assert four_rotations(image)[1, 0].tolist() == [[2, 4], [1, 3]]


def test_asks_for_one_view_that_is_upright():
    (view,) = Rotation.views(Config(), 64)
    assert (view.size, view.policy) == (64, "upright")


def test_accuracy_is_the_share_of_rotations_told(objective, batch):
    objective.encoder.forward = lambda x: torch.zeros(len(x), objective.encoder.num_features)
    nn.init.constant_(objective.head.bias, 0)
    output = objective(batch)
    assert output.loss.item() == pytest.approx(math.log(4))
    assert output.metrics["rotation_accuracy"] == 0.25  # always "not turned"
