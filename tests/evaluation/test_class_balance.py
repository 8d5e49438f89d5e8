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
    effective_weights,
    focal_loss,
    log_priors,
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


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_effective_weights_are_those_of_the_paper(beta):
    effective = []
    for k in range(4):
        number, share = 0.0, 1.0  # 1 + beta + beta^2 + ..., a term for each image
        for _ in range(max(1, int((k == LABELS).sum()))):
            number, share = number + share, share * beta
        effective.append(1 / number)
    scale = len(LABELS) / sum(effective[k] for k in LABELS)
    expected = [scale * weight for weight in effective]
    np.testing.assert_allclose(effective_weights(LABELS, 4, beta), expected)


def test_effective_weights_end_in_equal_and_in_inverse_frequencies():
    np.testing.assert_allclose(effective_weights(LABELS, 4, 0.0), 1)
    nearly = effective_weights(LABELS, 4, 1 - 1e-9)[[0, 1, 3]]
    np.testing.assert_allclose(nearly, class_weights(LABELS, 4)[[0, 1, 3]], rtol=1e-5)


def test_adjusted_logits_give_the_loss_of_the_paper():
    logits, labels = problem()
    counts, total = np.bincount(labels.numpy(), minlength=4), 0.0
    for row, label in zip(logits.numpy(), labels.numpy(), strict=True):
        odds = [counts[k] / counts[label] * np.exp(row[k] - row[label]) for k in range(4)]
        total += np.log(sum(odds))  # 1 + sum over the others, eq. 10
    loss = balanced_loss("logits", labels.numpy(), 4, torch.device("cpu"))
    assert float(loss(logits, labels)) == pytest.approx(total / len(labels), rel=1e-6)


def test_adjusted_logits_stay_finite_for_a_class_without_images():
    assert log_priors(LABELS, 4)[2] == pytest.approx(np.log(1 / 16))


@pytest.mark.parametrize("method", ["weights", "effective", "logits"])
def test_methods_move_the_boundary_to_the_balanced_one(method):
    """On features without information the balanced prediction is one half, not the prior."""
    labels = np.array([0] * 90 + [1] * 10)
    loss = balanced_loss(method, labels, 2, torch.device("cpu"), 1 - 1e-6)
    bias = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=100)

    def closure():
        optimizer.zero_grad()
        value = loss(bias.expand(100, 2), torch.from_numpy(labels))
        value.backward()
        return value

    optimizer.step(closure)
    assert float(bias.detach().softmax(0)[1]) == pytest.approx(0.5, abs=1e-3)


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
