"""The loss agrees with the authors' code, too: https://github.com/facebookresearch/fairseq
(`HubertModel.compute_pred`, `HubertCriterion`), but that it sums where we average."""

import copy
import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn import masked_prediction_loss
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.masked_clusters import MaskedClusters, MaskedClustersConfig

SMALL = {"num_clusters": 6, "out_dim": 16}


@pytest.fixture
def sample():
    torch.manual_seed(0)
    predicted, codes = torch.randn(3, 4, 5).double(), torch.randn(6, 5).double()
    mask = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 0]]).bool()
    return predicted, codes, torch.randint(0, 6, (3, 4)), mask, 0.1


def make(name="test_resnet", size=32, channels=3, **options):
    torch.manual_seed(0)
    config = MaskedClustersConfig(**{**SMALL, **options})
    return MaskedClusters(create_encoder(name, channels, size), config)


def make_batch(*shape, seed=1):
    torch.manual_seed(seed)
    x = torch.randn(shape or (4, 3, 32, 32))
    none = torch.zeros(len(x), dtype=torch.long)
    return Batch((x,), none, none, none[:, None], ())


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def slow_loss(predicted, codes, targets, mask, temperature):
    """Eq. 1 and 3 with loops: hidden places only, mean over the places of each image."""
    total, hits = 0.0, 0.0
    for i in range(len(predicted)):
        places = mask[i].nonzero().flatten().tolist()
        for j in places:
            row = predicted[i, j].tolist()
            scores = [cosine(row, code) / temperature for code in codes.tolist()]
            target = targets[i, j].item()
            chance = math.exp(scores[target]) / sum(math.exp(s) for s in scores)
            total -= math.log(chance) / len(places)
            hits += (max(scores) == scores[target]) / len(places)
    return total / len(predicted), hits / len(predicted)


def test_loss_agrees_with_equations_1_and_3(sample):
    found = [value.item() for value in masked_prediction_loss(*sample)]
    assert found == pytest.approx(slow_loss(*sample), abs=1e-9)


def test_loss_of_guessing_and_of_knowing():
    targets, mask = torch.tensor([[1, 0]]), torch.tensor([[True, False]])
    guess = masked_prediction_loss(torch.ones(1, 2, 2), torch.ones(4, 2), targets, mask, 0.1)
    assert guess[0].item() == pytest.approx(math.log(4))
    known = torch.tensor([[[0.0, 5.0], [0.0, 5.0]]])  # the second place is wrong, but visible
    loss, accuracy = masked_prediction_loss(known, torch.eye(2), targets, mask, 0.1)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-10)), abs=1e-6)
    assert accuracy == 1


def test_images_and_clusters_may_be_permuted_together(sample):
    predicted, codes, targets, mask, tau = sample
    images, clusters = torch.tensor([2, 0, 1]), torch.tensor([5, 3, 0, 1, 4, 2])
    found = masked_prediction_loss(
        predicted[images], codes[clusters], clusters.argsort()[targets][images], mask[images], tau
    )
    torch.testing.assert_close(found, masked_prediction_loss(*sample))


def test_gradients_are_those_of_the_loss(sample):
    predicted, codes, *rest = sample
    inputs = predicted.requires_grad_(), codes.requires_grad_()
    assert gradcheck(lambda p, c: masked_prediction_loss(p, c, *rest)[0], inputs)


@pytest.mark.parametrize(
    ("name", "size", "places"),
    [("test_resnet", 64, 8), ("test_resnet", 224, 14), ("test_vit", 64, 8), ("test_vit", 224, 14)],
)
def test_a_map_too_coarse_is_split(name, size, places):
    objective = make(name, size)
    assert size / objective.patch == places
    x, grid = torch.randn(2, 3, size, size), (places, places)
    predicted = objective.predict(x, objective.cover.draw(x, 0.5), grid)
    assert predicted.shape == (2, places * places, 16)


def test_parts_of_a_cell_lie_where_they_belong():
    objective = make(size=64, out_dim=1)  # 2 x 2 cells of 4 x 4 places each
    torch.nn.init.zeros_(objective.head.weight)
    objective.head.bias.data = torch.arange(16.0)
    x = torch.randn(2, 3, 64, 64)
    found = objective.predict(x, objective.cover.draw(x, 0.5), (8, 8))[0].view(8, 8)
    assert torch.equal(found, torch.arange(16.0).view(4, 4).repeat(2, 2))


def test_first_targets_are_clusters_of_the_pixels():
    objective = make("test_vit", 64, num_clusters=2)
    x = torch.zeros(2, 3, 64, 64)
    x[:, :, :32, ::2] = 1  # columns above, rows below
    x[:, :, 32::2] = 1
    found = objective.targets(3 * x + 1, (8, 8)).view(2, 8, 8)
    assert (found[:, :4] == found[0, 0, 0]).all()
    assert (found[:, 4:] == 1 - found[0, 0, 0]).all()


def test_brightness_and_contrast_of_a_place_do_not_change_its_cluster():
    objective, x = make(), make_batch().views[0]
    targets = objective.targets(x, (8, 8))
    assert torch.equal(objective.targets(5 * x + 2, (8, 8)), targets)
    assert len(targets.unique()) == 6


def test_clusters_stay_within_an_iteration():
    objective = make()
    objective(make_batch())
    centers = objective.pixel_centers.clone()
    assert centers.any()
    objective(make_batch(seed=2))
    assert torch.equal(objective.pixel_centers, centers)


def test_iterations_take_equal_shares_of_the_run():
    objective, seen = make(iterations=3), []
    for step in range(1, 10):
        objective.after_step(step, 9)
        seen.append(int(objective.iteration))
    assert seen == [0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_later_targets_are_clusters_of_the_frozen_encoder():
    objective, batch = make(), make_batch()
    objective(batch)
    torch.nn.init.constant_(objective.codes, 1.0)
    with torch.no_grad():
        for p in objective.encoder.parameters():
            p.mul_(1.1)
    objective.after_step(1, 2)
    assert int(objective.iteration) == 1
    for own, frozen in zip(
        objective.encoder.parameters(), objective.frozen.parameters(), strict=True
    ):
        assert torch.equal(own, frozen)
        assert not frozen.requires_grad
    targets = objective.targets(batch.views[0], (2, 2))
    level = objective.frozen.forward_pyramid(batch.views[0])[-2]  # 2 x 2 at 32 pixels
    rows = level.flatten(2).transpose(1, 2).flatten(0, 1)
    nearest = [((row - objective.centers) ** 2).sum(dim=1).argmin() for row in rows]
    assert targets.flatten().tolist() == nearest


def test_a_state_from_the_middle_of_a_run_gives_the_same_loss():
    objective, batch = make(), make_batch()
    objective(batch)
    objective.after_step(5, 10)
    objective(batch)
    fresh = make()
    fresh.load_state_dict(copy.deepcopy(objective.state_dict()))
    losses = []
    for o in (objective, fresh):
        torch.manual_seed(3)
        losses.append(o(batch).loss)
    assert torch.equal(*losses)
    assert int(fresh.iteration) == 1


def test_columns_of_signals_are_clustered_as_they_are():
    objective, batch = make(size=64, channels=2), make_batch(4, 2, 1, 64)
    x = batch.views[0]
    rows = objective.describe(x, (1, 8))
    assert rows.shape == (4, 8, 128)
    torch.testing.assert_close(rows.mean(dim=2), x.view(4, 2, 8, 8).mean(dim=(1, 3)))
    assert objective(batch).loss.isfinite()


def test_entropy_is_that_of_the_clusters(monkeypatch):
    objective, batch = make(), make_batch()
    monkeypatch.setattr(objective, "targets", lambda x, grid: torch.arange(64).repeat(4, 1) % 2)
    entropy = objective(batch).metrics["cluster_entropy"].item()
    assert entropy == pytest.approx(math.log(2))


def test_a_map_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="has only 5 feature maps"):
        make(layer=5)


def test_learns_a_small_batch_through_its_iterations():
    objective, batch = make(), make_batch()
    trained = [p for p in objective.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=1e-3), []
    for step in range(1, 13):
        losses.append(objective(batch).loss)
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
        objective.after_step(step, 12)
    assert all(loss.isfinite() for loss in losses)
    assert losses[4] < losses[0]
    assert losses[11] < losses[6]
    assert all(p.grad is not None for p in trained)


def test_the_frozen_encoder_normalizes_by_its_own_statistics():
    objective = make().train()
    objective.after_step(1, 2)
    x = make_batch().views[0]
    together = objective.describe(x, (8, 8))
    torch.testing.assert_close(objective.describe(x[:1], (8, 8)), together[:1])
