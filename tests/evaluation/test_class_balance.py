import itertools

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy

from ssl_kit.evaluation.class_balance import (
    BalancedSampler,
    balanced_loss,
    class_weights,
    focal_loss,
)

LABELS = np.array([0] * 12 + [1] * 3 + [3] * 1)


def problem(n=20, classes=4):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (n,), generator=generator)


def test_weights_are_those_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    np.testing.assert_allclose(class_weights(LABELS, 4)[[0, 1, 3]], expected)


def test_weighted_classes_have_equal_sums():
    sums = class_weights(LABELS, 4)[LABELS]
    assert [sums[k == LABELS].sum() for k in (0, 1, 3)] == pytest.approx([16 / 3] * 3)


def test_focal_loss_is_that_of_the_paper():
    logits, labels = problem()
    total = 0.0
    for row, label in zip(logits.numpy(), labels.numpy(), strict=True):
        p = np.exp(row[label]) / np.exp(row).sum()
        total -= (1 - p) ** 2 * np.log(p)
    assert float(focal_loss(logits, labels)) == pytest.approx(total / len(labels))


def test_focal_loss_without_focus_is_cross_entropy():
    logits, labels = problem()
    torch.testing.assert_close(focal_loss(logits, labels, focus=0), cross_entropy(logits, labels))


def test_weighted_loss_is_the_weighted_mean():
    logits, labels = problem()
    loss = balanced_loss("weights", labels.numpy(), 4, torch.device("cpu"))
    weights = class_weights(labels.numpy(), 4)[labels.numpy()]
    each = cross_entropy(logits, labels, reduction="none").numpy()
    assert float(loss(logits.float(), labels)) == pytest.approx(
        (weights * each).sum() / weights.sum()
    )


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_otherwise_the_loss_is_plain(balance):
    logits, labels = problem()
    loss = balanced_loss(balance, labels.numpy(), 4, torch.device("cpu"))
    torch.testing.assert_close(loss(logits, labels), cross_entropy(logits, labels))


def test_the_sampler_draws_every_class_alike():
    pool = np.arange(100, 116)
    order = BalancedSampler(pool, LABELS, 64, seed=0)
    drawn = np.concatenate([rows for _, rows in itertools.islice(order, 100)]) - 100
    shares = np.bincount(LABELS[drawn], minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.02)


def test_an_image_drawn_again_is_altered_anew():
    epochs = [
        epoch for epoch, _ in itertools.islice(BalancedSampler(np.arange(16), LABELS, 4, 0), 5)
    ]
    assert epochs == [0, 1, 2, 3, 4]


def test_the_same_seed_draws_the_same():
    one, two = (next(iter(BalancedSampler(np.arange(16), LABELS, 8, 3)))[1] for _ in "ab")
    assert one.tolist() == two.tolist()
