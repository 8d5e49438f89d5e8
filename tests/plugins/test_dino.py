"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/dino/blob/main/main_dino.py (`DINOLoss`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import one_hot

from ssl_kit import Batch
from ssl_kit.nn import cosine_scores, cross_view_cross_entropy
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.dino import DINO, DINOConfig, teacher_distribution


@pytest.fixture
def logits():
    """Of 4 views of 6 images, for 5 outputs."""
    torch.manual_seed(0)
    return torch.randn(4, 6, 5, dtype=torch.float64)


@pytest.fixture
def targets():
    torch.manual_seed(1)
    return torch.randn(2, 6, 5, dtype=torch.float64).softmax(dim=2)


def make(**options):
    torch.manual_seed(0)
    small = {
        "hidden_dim": 32,
        "bottleneck_dim": 16,
        "out_dim": 24,
        "freeze_last_layer": 0,
        "local_crops": 2,
    }
    return DINO(create_encoder("test_resnet", 3, 32), DINOConfig(**{**small, **options}))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    image = torch.randn(8, 3, 32, 32)
    large = tuple(image + 0.1 * torch.randn_like(image) for _ in range(2))
    none = torch.zeros(8, dtype=torch.long)
    views = (*large, image[..., :16, :16].clone(), image[..., 16:, 16:].clone())
    return Batch(views, none, none, none[:, None], ())


def slow_softmax(values, temperature):
    """Eq. 1 for a list of numbers."""
    powers = [math.exp(v / temperature) for v in values]
    return [p / sum(powers) for p in powers]


def slow_loss(logits, targets, temperature):
    """Eq. 3 with eq. 2, loop by loop; the mean over the pairs of views."""
    total, pairs = 0.0, 0
    for i in range(len(targets)):
        for v in range(len(logits)):
            if v != i:
                pairs += 1
                for row, target in zip(logits[v].tolist(), targets[i].tolist(), strict=True):
                    p = slow_softmax(row, temperature)
                    total -= sum(t * math.log(s) for t, s in zip(target, p, strict=True)) / 6
    return total / pairs


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_agrees_with_equation_3(logits, targets, temperature):
    found = cross_view_cross_entropy(logits, targets, temperature).item()
    assert found == pytest.approx(slow_loss(logits, targets, temperature), abs=1e-9)


def test_teacher_is_centered_and_sharpened(logits):
    center = torch.arange(5, dtype=torch.float64)
    found = teacher_distribution(logits[0], center, torch.tensor(0.5).double())
    for row, expected in zip(found.tolist(), logits[0].tolist(), strict=True):
        shifted = [v - c for v, c in zip(expected, range(5), strict=True)]
        assert row == pytest.approx(slow_softmax(shifted, 0.5), abs=1e-9)


def test_loss_of_equal_logits_is_that_of_guessing(targets):
    found = cross_view_cross_entropy(torch.ones(3, 6, 5).double(), targets, 0.1).item()
    assert found == pytest.approx(math.log(5), abs=1e-9)


def test_no_view_is_compared_with_itself():
    targets = one_hot(torch.tensor([[0], [1]]), 2).double()
    right, wrong = -math.log(math.e / (math.e + 1)), -math.log(1 / (math.e + 1))
    assert cross_view_cross_entropy(targets, targets, 1.0).item() == pytest.approx(wrong)
    assert cross_view_cross_entropy(targets.flip(0), targets, 1.0).item() == pytest.approx(right)


def test_views_may_be_swapped_and_images_permuted_together(logits, targets):
    loss, order = cross_view_cross_entropy(logits, targets, 0.1), torch.tensor([3, 0, 5, 1, 4, 2])
    swapped = cross_view_cross_entropy(logits[[1, 0, 3, 2]], targets.flip(0), 0.1)
    torch.testing.assert_close(swapped, loss)
    torch.testing.assert_close(
        cross_view_cross_entropy(logits[:, order], targets[:, order], 0.1), loss
    )
    assert not torch.isclose(cross_view_cross_entropy(logits[:, order], targets, 0.1), loss)


def test_gradients_are_those_of_the_functions(logits, targets):
    logits.requires_grad_()
    assert gradcheck(lambda s: cross_view_cross_entropy(s, targets, 0.1), (logits,))
    weight = torch.randn(4, 5).double().requires_grad_()
    assert gradcheck(cosine_scores, (logits[0], weight))


def test_asks_for_two_large_and_several_small_views():
    views = DINO.views(DINOConfig(local_crops=3), 112)
    assert [view.size for view in views] == [112, 112, 48, 48, 48]


def test_teacher_sees_the_large_views_only(batch):
    objective, seen = make(), []
    objective.teacher.encoder.register_forward_hook(lambda m, x, y: seen.append(x[0].shape))
    objective(batch)
    assert seen == [(16, 3, 32, 32)]


def test_loss_is_that_of_all_views_against_the_teacher(batch):
    objective, free = make(), torch.tensor(1.0)
    large, small = torch.cat(batch.views[:2]), torch.cat(batch.views[2:])
    features = torch.cat([objective.encoder(large), objective.encoder(small)])
    logits = objective.projector(features, free).view(4, 8, 24)
    taught = objective.teacher.projector(objective.teacher.encoder(large), free)
    targets = teacher_distribution(taught, torch.zeros(24), torch.tensor(0.04)).view(2, 8, 24)
    torch.testing.assert_close(
        objective(batch).loss, cross_view_cross_entropy(logits, targets, 0.1)
    )


def test_center_follows_the_teacher_by_equation_4(batch):
    objective = make(center_momentum=0.8)
    taught = objective.teacher.encoder(torch.cat(batch.views[:2]))
    mean = objective.teacher.projector(taught, torch.tensor(1.0)).mean(dim=0)
    objective(batch)
    torch.testing.assert_close(objective.center, 0.2 * mean)
    objective(batch)
    torch.testing.assert_close(objective.center, (0.8 * 0.2 + 0.2) * mean)


def test_temperature_of_the_teacher_rises_and_its_entropy_with_it(batch):
    objective = make(warmup_teacher_temperature=0.01, teacher_temperature=1.0, warmup=0.5).eval()
    entropies = []
    for step in (0, 2, 5, 10):
        objective.progress.fill_(step / 10)
        objective.center.zero_()
        entropies.append(objective(batch).metrics["teacher_entropy"].item())
    assert entropies[0] < entropies[1] < entropies[2]
    assert entropies[2] == pytest.approx(entropies[3])


def test_the_cosine_scores_stays_until_it_is_free(batch):
    objective = make(freeze_last_layer=0.5)
    objective(batch).loss.backward()
    assert not objective.projector.last.grad.any()
    assert objective.projector.layers[0].weight.grad.any()
    objective.after_step(5, 10)
    objective(batch).loss.backward()
    assert objective.projector.last.grad.any()


def test_metrics_say_when_all_images_are_alike(batch):
    objective = make()
    batch.views = tuple(torch.ones_like(view) for view in batch.views)
    metrics = objective(batch).metrics
    both = [metrics["teacher_entropy"].item(), metrics["mean_teacher_entropy"].item()]
    assert both[0] == pytest.approx(both[1], abs=1e-3)
