"""The weights agree with the authors' code, too:
https://github.com/richzhang/colorization/blob/caffe/resources/caffe_traininglayers.py
(`PriorFactor`, alpha 0.5 there is lambda here, before smoothing)."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn import soft_encode
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.colorization import (
    Colorization,
    ColorizationConfig,
    color_loss,
    rebalance,
)


@pytest.fixture
def cells():
    torch.manual_seed(0)
    logits = torch.randn(9, 7, dtype=torch.float64)
    target = torch.randn(9, 7, dtype=torch.float64).softmax(dim=1)
    return logits, target, torch.rand(7, dtype=torch.float64) + 0.5


def make(channels=3, **options):
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", channels, 32)
    return Colorization(
        encoder, ColorizationConfig(**{"num_colors": 8, "decoder_dim": 32, **options})
    )


def make_batch(channels=3):
    torch.manual_seed(1)
    none = torch.zeros(6, dtype=torch.long)
    return Batch((torch.randn(6, channels, 32, 32),), none, none, none[:, None], ())


def slow_loss(logits, target, weight):
    """Eq. 2 and 3 with loops."""
    total = 0.0
    for row, z in zip(logits.tolist(), target.tolist(), strict=True):
        below = sum(math.exp(value) for value in row)
        v = weight[z.index(max(z))].item()
        pairs = zip(z, row, strict=True)
        total -= v * sum(share * math.log(math.exp(value) / below) for share, value in pairs)
    return total / len(logits)


def slow_soft_encode(colors, palette):
    """The five nearest, weighted by a Gaussian, with loops."""
    nearest = [min(math.dist(a, b) for b in palette if b is not a) for a in palette]
    sigma = sum(nearest) / len(nearest) / 2
    rows = []
    for color in colors:
        distance = [math.dist(color, entry) for entry in palette]
        five = sorted(range(len(palette)), key=lambda q: distance[q])[:5]
        weight = {q: math.exp(-(distance[q] ** 2) / (2 * sigma**2)) for q in five}
        total = sum(weight.values())
        rows.append([weight.get(q, 0.0) / total for q in range(len(palette))])
    return rows


def test_loss_agrees_with_equation_2(cells):
    assert color_loss(*cells).item() == pytest.approx(slow_loss(*cells), abs=1e-9)


def test_loss_of_guessing_and_of_knowing():
    target, weight = torch.eye(4), torch.ones(4)
    guess = torch.zeros(4, 4)
    assert color_loss(guess, target, weight).item() == pytest.approx(math.log(4))
    assert color_loss(100 * target, target, weight).item() == pytest.approx(0, abs=1e-9)
    assert color_loss(guess, target, 3 * weight).item() == pytest.approx(3 * math.log(4))


def test_cells_may_be_permuted_together_but_not_apart(cells):
    (logits, target, weight), order = cells, torch.tensor([8, 3, 0, 5, 1, 4, 2, 7, 6])
    loss = color_loss(logits, target, weight)
    torch.testing.assert_close(color_loss(logits[order], target[order], weight), loss)
    assert not torch.isclose(color_loss(logits, target[order], weight), loss)


def test_gradient_is_that_of_the_loss(cells):
    logits, target, weight = cells
    assert gradcheck(lambda x: color_loss(x, target, weight), (logits.requires_grad_(),))


def test_colors_are_spread_over_the_five_nearest():
    rng = np.random.default_rng(0)
    colors, palette = rng.normal(size=(6, 3)), rng.normal(size=(9, 3))
    found = soft_encode(torch.from_numpy(colors), torch.from_numpy(palette))
    expected = slow_soft_encode(colors.tolist(), palette.tolist())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_a_color_between_two_of_a_palette_is_half_of_each():
    found = soft_encode(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    assert found.tolist() == [[0.5, 0.5]]


def test_equal_colors_in_a_palette_are_no_trouble():
    assert soft_encode(torch.zeros(3, 2), torch.zeros(4, 2)).isfinite().all()


def test_weights_agree_with_equation_4():
    p, uniform = [0.7, 0.2, 0.1, 0.0], 0.5
    raw = [1 / ((1 - uniform) * share + uniform / 4) for share in p]
    mean = sum(share * w for share, w in zip(p, raw, strict=True))
    expected = [w / mean for w in raw]
    found = rebalance(torch.tensor(p, dtype=torch.float64), uniform)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_without_rebalancing_all_colors_weigh_the_same():
    weight = rebalance(torch.tensor([0.7, 0.2, 0.1]), 1.0)
    torch.testing.assert_close(weight, torch.ones(3))


def test_the_encoder_sees_no_colors():
    objective, batch = make(), make_batch()
    seen, whole = [], objective.encoder.forward_map
    objective.encoder.forward_map = lambda x: seen.append(x) or whole(x)
    objective(batch)
    mean = batch.views[0].mean(dim=1, keepdim=True)
    assert torch.equal(seen[0], mean.expand(-1, 3, -1, -1))


def test_one_channel_is_refused_in_plain_words():
    with pytest.raises(UsageError, match="at least two channels"):
        make(channels=1)


def test_the_palette_comes_from_the_first_batch_and_stays():
    objective = make()
    assert not objective.fitted
    objective(make_batch())
    palette, frequency = objective.palette.clone(), objective.frequency.clone()
    assert objective.fitted
    assert len(palette.unique(dim=0)) == 8
    torch.testing.assert_close(palette.sum(dim=1), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(frequency.sum(), torch.tensor(1.0))
    batch = make_batch()
    batch.views = (2 * batch.views[0],)
    objective(batch)
    assert torch.equal(objective.palette, palette)
    assert not torch.equal(objective.frequency, frequency)


def test_targets_are_colors_of_cells_about_four_pixels_wide():
    objective, batch = make(), make_batch()
    encoded = []
    whole = objective.decoder.forward
    objective.decoder.forward = lambda x: encoded.append(whole(x)) or encoded[-1]
    objective(batch)
    assert encoded[0].shape == (6, 8, 8, 8)


def test_skill_of_knowing_the_colors_and_of_knowing_their_frequencies():
    objective, batch = make(), make_batch()
    objective(batch)
    x = batch.views[0]
    colors = torch.nn.functional.avg_pool2d(x - x.mean(dim=1, keepdim=True), 4)
    target = soft_encode(colors.movedim(1, 3).flatten(0, 2), objective.palette)
    logits = target.clamp(min=1e-9).log().view(6, 8, 8, 8).movedim(3, 1)
    objective.decoder.forward = lambda _: logits
    metrics = objective(batch).metrics
    assert metrics["color_accuracy"] == 1
    assert 0 < metrics["color_skill"] <= 1
    guess = objective.frequency.log().view(1, 8, 1, 1).expand(6, 8, 8, 8)
    objective.decoder.forward = lambda _: guess
    assert objective(batch).metrics["color_skill"].abs() < 1e-3
