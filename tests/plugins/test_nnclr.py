import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.nnclr import NNCLR, NNCLRConfig, nearest, nnclr_loss


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, dtype=torch.float64).unbind()


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return NNCLR(
        create_encoder("test_resnet", 3, 32), NNCLRConfig(hidden_dim=32, out_dim=16, queue_size=12)
    )


def make_batch(seed=1):
    torch.manual_seed(seed)
    image = torch.randn(8, 3, 32, 32)
    none = torch.zeros(8, dtype=torch.long)
    return Batch((image, image + 0.1 * torch.randn_like(image)), none, none, none[:, None], ())


def encoded(objective, batch):
    """Projections of unit length, and predictions, of both views."""
    z = objective.project(objective.encoder(torch.cat(batch.views)))
    return *normalize(z, dim=1).chunk(2), *objective.predictor(z).chunk(2)


def slow_nearest(z, support):
    """Eq. 4 with loops: the row of the support set at the smallest distance."""
    return np.array([min(support, key=lambda q, row=row: np.linalg.norm(row - q)) for row in z])


def slow_nnclr(neighbors, p, temperature):
    """Eq. 3 with loops."""
    nn, p = ([row / np.linalg.norm(row) for row in np.asarray(x)] for x in (neighbors, p))
    total = 0.0
    for i in range(len(nn)):
        exps = [math.exp(nn[i] @ other / temperature) for other in p]
        total -= math.log(exps[i] / sum(exps))
    return total / len(nn)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_agrees_with_equation_3(pair, temperature):
    found = nnclr_loss(*pair, temperature).item()
    assert found == pytest.approx(slow_nnclr(*pair, temperature), abs=1e-9)


def test_neighbors_agree_with_equation_4(pair):
    z, support = (normalize(x, dim=1) for x in pair)
    found = nearest(z, support, torch.ones(6, dtype=torch.bool))
    np.testing.assert_array_equal(found.numpy(), slow_nearest(z.numpy(), support.numpy()))


def test_unknown_rows_are_no_neighbors(pair):
    z = normalize(pair[0], dim=1)
    known = torch.tensor([False, True, False, False, True, False])
    found = nearest(z, z, known)
    np.testing.assert_array_equal(found.numpy(), slow_nearest(z.numpy(), z[known].numpy()))


def test_loss_of_neighbors_equal_to_orthogonal_predictions():
    z = torch.eye(3, dtype=torch.float64)
    assert nnclr_loss(z, z, 1.0).item() == pytest.approx(math.log((math.e + 2) / math.e), abs=1e-9)


def test_loss_of_equal_rows_is_that_of_guessing():
    z = torch.ones(4, 3, dtype=torch.float64)
    assert nnclr_loss(z, z, 0.1).item() == pytest.approx(math.log(4), abs=1e-9)


def test_images_may_be_permuted_together_but_not_apart(pair):
    (nn, p), order = pair, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = nnclr_loss(nn, p, 0.1)
    torch.testing.assert_close(nnclr_loss(nn[order], p[order], 0.1), loss)
    assert not torch.isclose(nnclr_loss(nn, p[order], 0.1), loss)


def test_gradient_is_that_of_the_loss(pair):
    nn, p = (x.requires_grad_() for x in pair)
    assert gradcheck(lambda nn, p: nnclr_loss(nn, p, 0.5), (nn, p))


def test_first_batch_looks_into_its_own_first_views(objective):
    batch = make_batch()
    z1, z2, p1, p2 = (x.detach() for x in encoded(objective, batch))
    near2 = slow_nearest(z2.numpy(), z1.numpy())
    expected = slow_nnclr(z1, p2, 0.1) / 2 + slow_nnclr(near2, p1, 0.1) / 2
    output = objective(batch)
    assert output.loss.item() == pytest.approx(expected, abs=1e-5)
    assert output.metrics["neighbor_similarity"].item() == pytest.approx(1)  # themselves


def test_later_batches_look_into_what_was_pushed_and_no_random_row(objective):
    first, second = make_batch(1), make_batch(2)
    old = encoded(objective, first)[0].detach().numpy()
    objective(first)
    z1, z2, p1, p2 = (x.detach() for x in encoded(objective, second))
    expected = slow_nnclr(slow_nearest(z1.numpy(), old), p2, 0.1) / 2
    expected += slow_nnclr(slow_nearest(z2.numpy(), old), p1, 0.1) / 2
    assert objective(second).loss.item() == pytest.approx(expected, abs=1e-5)


def test_first_views_join_the_queue(objective):
    batch = make_batch()
    z1 = encoded(objective, batch)[0].detach()
    objective(batch)
    torch.testing.assert_close(objective.queue()[:8], z1)
    assert not objective.queue.full
    objective(batch)
    assert objective.queue.full
