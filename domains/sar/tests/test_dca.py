from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError, train
from ssl_kit.nn.weights import create_encoder
from ssl_kit_sar.dca import (
    DCA,
    DCAConfig,
    feature_alignment,
    instance_logits,
    instance_loss,
    ramp,
    updated,
)


@pytest.fixture
def features() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 5, 4, dtype=torch.float64)  # (K, B, D)


def made(**options: float) -> DCA:
    torch.manual_seed(0)
    return DCA(create_encoder("test_resnet", 1, 32), DCAConfig(num_views=3, **options))


def batch(images: int = 6) -> Batch:
    torch.manual_seed(1)
    base = torch.randn(images, 1, 32, 32)
    views = tuple(base + 0.1 * torch.randn_like(base) for _ in range(3))
    none = torch.zeros(images, dtype=torch.long)
    return Batch(views, none, none, none[:, None], ())


def slow_instance_loss(f: np.ndarray, w: np.ndarray, temperature: float) -> float:
    """-log softmax(FC(f_i) / T) at i, with loops."""
    total = 0.0
    for i in range(len(f)):
        scores = [float(f[i] @ w[j]) / temperature for j in range(len(w))]
        total -= math.log(math.exp(scores[i]) / sum(math.exp(s) for s in scores))
    return total / len(f)


def slow_alignment(f: np.ndarray) -> float:
    """Mean over views, images and dimensions of (f_k - mean_k f)^2, with loops."""
    views, images, dims = f.shape
    total = 0.0
    for b in range(images):
        for d in range(dims):
            mean = sum(f[k, b, d] for k in range(views)) / views
            total += sum((f[k, b, d] - mean) ** 2 for k in range(views))
    return total / (views * images * dims)


def test_instance_loss_agrees_with_its_formula(features: Tensor) -> None:
    f, w = features[0], features[1]
    found = instance_loss(instance_logits(f, w, 2.0)).item()
    assert found == pytest.approx(slow_instance_loss(f.numpy(), w.numpy(), 2.0), abs=1e-9)


def test_alignment_agrees_with_its_formula(features: Tensor) -> None:
    assert feature_alignment(features).item() == pytest.approx(
        slow_alignment(features.numpy()), abs=1e-9
    )


def test_alignment_of_known_values() -> None:
    assert feature_alignment(torch.tensor([[[0.0]], [[2.0]]])).item() == 1
    assert feature_alignment(torch.ones(3, 2, 2)).item() == 0


def test_guessing_costs_the_logarithm_of_the_batch() -> None:
    assert instance_loss(torch.zeros(7, 7)).item() == pytest.approx(math.log(7))


def test_views_and_images_may_be_permuted(features: Tensor) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = feature_alignment(features)
    torch.testing.assert_close(feature_alignment(features[[2, 0, 1]][:, order]), loss)
    logits = instance_logits(features[0], features[1], 2.0)
    torch.testing.assert_close(instance_loss(logits[order][:, order]), instance_loss(logits))


def test_gradients_are_those_of_the_losses(features: Tensor) -> None:
    f, w = (part.requires_grad_() for part in features[:2].clone().unbind())
    assert gradcheck(lambda a, b: instance_loss(instance_logits(a, b, 2.0)), (f, w))
    assert gradcheck(feature_alignment, (features.requires_grad_(),))


def test_the_classifier_steps_down_its_gradient(features: Tensor) -> None:
    f, w = features[0], features[1].clone().requires_grad_()
    logits = instance_logits(f, w, 2.0)
    summed = instance_loss(logits) * len(f)
    (gradient,) = torch.autograd.grad(summed, w)
    expected = w - 0.5 / f.shape[1] * 2.0 * gradient  # T times: the step is free of T
    torch.testing.assert_close(updated(w, f, logits, 0.5), expected)


@pytest.mark.parametrize(
    ("progress", "weight"), [(0.0, 0.0), (0.1, 0.0), (0.3, 0.5), (0.5, 1.0), (0.9, 1.0)]
)
def test_ramp(progress: float, weight: float) -> None:
    assert ramp(progress, 0.1, 0.5) == pytest.approx(weight)


def test_a_ramp_of_no_length_is_a_step() -> None:
    assert [ramp(progress, 0.5, 0.5) for progress in (0.0, 0.49, 0.5, 1.0)] == [0, 0, 1, 1]


def test_a_ramp_that_ends_before_it_starts_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="ramp_start"):
        made(ramp_start=0.6, ramp_end=0.5)


def test_asks_for_as_many_views_as_phases_but_one() -> None:
    objective = made()
    assert len(DCA.views(objective.config, 64)) == 3
    assert objective.phases == 4


def test_the_classifier_is_new_for_every_batch_and_learns_from_view_to_view() -> None:
    objective, data = made(), batch()
    first = objective(data, 0)
    drawn = objective.classifier
    later = objective(data, 1)
    assert later.metrics["instance_accuracy"] > first.metrics["instance_accuracy"]
    objective(batch(4), 0)
    assert objective.classifier.shape == (4, objective.encoder.num_features)
    assert drawn.shape == (6, objective.encoder.num_features)


def test_the_optimizer_never_sees_the_classifier() -> None:
    objective = made()
    objective(batch(), 0)
    assert not any("classifier" in name for name, _ in objective.named_parameters())
    assert "classifier" not in objective.state_dict()


def test_alignment_waits_for_the_ramp() -> None:
    objective, data = made(), batch()
    assert objective(data, 3).loss == 0
    objective.after_step(30, 100)
    half = objective(data, 3)
    assert half.loss.item() == pytest.approx(0.5 * half.metrics["alignment"].item())


def test_a_run_records_the_metrics_of_all_phases(tmp_path: Path) -> None:
    options = {"objective.num_views": 2, "train.workers": 0}
    sizes = {"encoder": "test_resnet", "image_size": 32, "batch_size": 128, "epochs": 1}
    run = train(domain="sar", objective="dca", **sizes, set=options, out=tmp_path / "run")
    last = run.lines(run.metrics)[-1]
    assert {"instance_accuracy", "alignment"} <= set(last)
