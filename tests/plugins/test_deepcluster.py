"""The loss agrees with the authors' code, too:
https://github.com/facebookresearch/swav/blob/main/main_deepclusterv2.py (`train`)."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from ssl_kit import Batch, TrainingInfo
from ssl_kit.nn import clustering, cosine_scores, spherical_kmeans
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.deepcluster import (
    DeepCluster,
    DeepClusterConfig,
    assignment_loss,
)

IMAGES, STEPS = 40, 2


@pytest.fixture
def scores():
    """Cosines of 3 views of 6 images and 4 centers."""
    torch.manual_seed(0)
    return cosine_scores(torch.randn(3, 6, 5).double(), torch.randn(4, 5).double())


@pytest.fixture
def labels():
    return torch.tensor([0, 3, 1, 1, 2, 3])


def make(images=IMAGES, **options):
    torch.manual_seed(0)
    small = {"hidden_dim": 32, "out_dim": 16, "num_clusters": 4, "local_crops": 2}
    encoder = create_encoder("test_resnet", 3, 32)
    objective = DeepCluster(encoder, DeepClusterConfig(**{**small, **options}))
    objective.prepare(TrainingInfo(images, STEPS, (0.5,) * 3, (0.2,) * 3))
    return objective


def make_batch(indices=range(8)):
    indices = torch.tensor(list(indices))
    torch.manual_seed(1)
    image = torch.randn(len(indices), 3, 32, 32)
    large = tuple(image + 0.1 * torch.randn_like(image) for _ in range(2))
    views = (*large, image[..., :16, :16].clone(), image[..., 16:, 16:].clone())
    return Batch(views, indices, indices, torch.zeros(len(indices), 0), ())


def slow_loss(scores, labels, temperature):
    """Eq. 2 with a certain code, loop by loop."""
    total, rows = 0.0, 0
    for view in scores.tolist():
        for row, label in zip(view, labels.tolist(), strict=True):
            powers = [math.exp(s / temperature) for s in row]
            total -= math.log(powers[label] / sum(powers))
            rows += 1
    return total / rows


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_agrees_with_equation_2(scores, labels, temperature):
    found = assignment_loss(scores, labels, temperature).item()
    assert found == pytest.approx(slow_loss(scores, labels, temperature), abs=1e-9)


def test_loss_of_images_at_orthogonal_centers():
    found = assignment_loss(torch.eye(3).double()[None], torch.arange(3), 1.0).item()
    assert found == pytest.approx(-math.log(math.e / (math.e + 2)), abs=1e-9)


def test_loss_of_equal_scores_is_that_of_guessing(labels):
    found = assignment_loss(torch.ones(2, 6, 4).double(), labels, 0.1).item()
    assert found == pytest.approx(math.log(4), abs=1e-9)


def test_views_may_be_swapped_and_images_permuted_together(scores, labels):
    loss, order = assignment_loss(scores, labels, 0.1), torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(assignment_loss(scores.flip(0), labels, 0.1), loss)
    torch.testing.assert_close(assignment_loss(scores[:, order], labels[order], 0.1), loss)
    assert not torch.isclose(assignment_loss(scores[:, order], labels, 0.1), loss)


def test_gradient_is_that_of_the_loss(labels):
    z, centers = torch.randn(3, 6, 5).double().requires_grad_(), torch.randn(4, 5).double()
    assert gradcheck(lambda z: assignment_loss(cosine_scores(z, centers), labels, 0.1), (z,))


def test_clusters_of_well_separated_directions():
    torch.manual_seed(0)
    true = torch.arange(60) % 3
    rows = normalize(torch.eye(3).double()[true] + 0.05 * torch.randn(60, 3).double(), dim=1)
    centers, labels = spherical_kmeans(rows, 3)
    torch.testing.assert_close(centers.norm(dim=1), torch.ones(3).double())
    assert len({(int(a), int(b)) for a, b in zip(true, labels, strict=True)}) == 3
    for k in range(3):
        expected = normalize(rows[labels == k].mean(dim=0), dim=0)
        torch.testing.assert_close(centers[k], expected)


def test_centers_are_found_from_some_of_many_rows(monkeypatch):
    seen = []
    monkeypatch.setattr(clustering, "kmeans", lambda x, k: seen.append(len(x)) or x[:k])
    centers, labels = spherical_kmeans(normalize(torch.randn(20_000, 16), dim=1), 8)
    assert 256 <= seen[0] <= 512
    assert labels.shape == (20_000,)
    assert centers.shape == (8, 16)


def test_asks_for_two_large_and_several_small_views():
    views = DeepCluster.views(DeepClusterConfig(local_crops=3), 112)
    assert [view.size for view in views] == [112, 112, 48, 48, 48]


def test_there_are_never_more_clusters_than_one_for_ten_images():
    assert len(make(images=40, num_clusters=30).centers) == 4
    assert len(make(images=40, num_clusters=3).centers) == 3
    assert len(make(images=5).centers) == 2


def test_in_the_first_epoch_each_image_is_a_cluster():
    objective, batch = make(), make_batch()
    large, small = torch.cat(batch.views[:2]), torch.cat(batch.views[2:])
    z = objective.project(torch.cat([objective.encoder(large), objective.encoder(small)]))
    z = normalize(z.view(4, 8, 16), dim=2)
    rows = normalize(z[:2].mean(dim=0), dim=1).detach()
    expected = assignment_loss(cosine_scores(z, rows), torch.arange(8), 0.1)
    torch.testing.assert_close(objective(batch).loss, expected)


def test_bank_keeps_the_rows_of_the_images_seen():
    objective, batch = make(), make_batch(range(10, 18))
    objective(batch)
    assert objective.bank.any(dim=1).nonzero().flatten().tolist() == list(range(10, 18))
    torch.testing.assert_close(objective.bank[10:18].norm(dim=1), torch.ones(8))


def test_clusters_are_found_at_the_end_of_each_epoch():
    objective = make()
    for step, indices in enumerate((range(8), range(8, 16)), start=1):
        assert not objective.centers.any()
        objective(make_batch(indices))
        objective.after_step(step, 10)
    first = objective.centers.clone()
    torch.testing.assert_close(first.norm(dim=1), torch.ones(4))
    assert (objective.labels[:16] >= 0).all()
    assert (objective.labels[16:] == -1).all()
    nearest = cosine_scores(objective.bank[:16], first).argmax(dim=1)
    assert torch.equal(nearest, objective.labels[:16])
    objective.bank[:16] = normalize(torch.randn(16, 16), dim=1)
    objective.after_step(3, 10)
    assert torch.equal(objective.centers, first)
    objective.after_step(4, 10)
    assert not torch.equal(objective.centers, first)


def test_an_epoch_end_between_two_accumulated_steps_is_not_missed():
    objective = make()
    objective(make_batch())
    objective.after_step(STEPS + 1, 10)
    assert objective.centers.any()


def test_images_predict_their_cluster_and_new_ones_the_nearest():
    objective = make().eval()
    objective(make_batch(range(8)))
    objective.after_step(STEPS, 10)
    objective.labels[:4] = torch.tensor([3, 2, 1, 0])
    rows = normalize(torch.randn(6, 16), dim=1)
    centers, labels = objective.targets(rows, torch.tensor([0, 1, 2, 3, 20, 21]))
    assert torch.equal(centers, objective.centers)
    assert labels[:4].tolist() == [3, 2, 1, 0]
    assert torch.equal(labels[4:], cosine_scores(rows[4:], centers).argmax(dim=1))


def test_metrics_say_when_all_images_are_in_one_cluster():
    objective = make().eval()
    objective(make_batch())
    objective.after_step(STEPS, 10)
    objective.labels[:8] = 1
    assert objective(make_batch()).metrics["cluster_entropy"] == 0
    objective.labels[:8] = torch.arange(8) % 4
    entropy = objective(make_batch()).metrics["cluster_entropy"].item()
    assert entropy == pytest.approx(math.log(4))
