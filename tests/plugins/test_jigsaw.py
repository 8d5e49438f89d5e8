"""The rule of choosing permutations is that of the authors' selection by largest distance, with the
nearest chosen one in place of the mean: https://github.com/MehdiNoroozi/JigsawPuzzleSolver."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from ssl_kit import Batch, UsageError
from ssl_kit.nn import cut_tiles, tile_size
from ssl_kit.nn.weights import create_encoder
from ssl_kit.plugins.objectives.jigsaw import (
    Jigsaw,
    JigsawConfig,
    distant_permutations,
    jigsaw_loss,
)


@pytest.fixture
def puzzle():
    torch.manual_seed(0)
    return torch.randn(6, 5, dtype=torch.float64), torch.tensor([0, 3, 4, 1, 1, 2])


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return Jigsaw(
        create_encoder("test_resnet", 3, 32), JigsawConfig(num_permutations=10, hidden_dim=32)
    )


@pytest.fixture
def batch():
    torch.manual_seed(1)
    none = torch.zeros(6, dtype=torch.long)
    return Batch((torch.randn(6, 3, 57, 57),), none, none, none[:, None], ())


def slow_loss(logits, answers):
    """-log of the probability of each image's permutation, with loops."""
    total = 0.0
    for row, answer in zip(logits.tolist(), answers.tolist(), strict=True):
        total -= math.log(math.exp(row[answer]) / sum(math.exp(value) for value in row))
    return total / len(logits)


def apart(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def slow_permutations(n, count):
    """The greedy rule with loops: farthest from the nearest, from all, first in order."""
    left = list(itertools.permutations(range(n)))
    chosen = [left.pop(0)]
    while len(chosen) < count:
        best = max(left, key=lambda p: (min(apart(p, c) for c in chosen),
                                        sum(apart(p, c) for c in chosen)))  # fmt: skip
        left.remove(best)
        chosen.append(best)
    return [list(p) for p in chosen]


def test_loss_agrees_with_cross_entropy(puzzle):
    assert jigsaw_loss(*puzzle).item() == pytest.approx(slow_loss(*puzzle), abs=1e-9)


def test_loss_of_guessing_and_of_knowing():
    answers = torch.tensor([2, 0])
    assert jigsaw_loss(torch.zeros(2, 100), answers).item() == pytest.approx(math.log(100))
    assert jigsaw_loss(100 * torch.eye(3)[answers], answers).item() == pytest.approx(0, abs=1e-9)


def test_images_may_be_permuted_together_but_not_apart(puzzle):
    (logits, answers), order = puzzle, torch.tensor([3, 0, 5, 1, 4, 2])
    loss = jigsaw_loss(logits, answers)
    torch.testing.assert_close(jigsaw_loss(logits[order], answers[order]), loss)
    assert not torch.isclose(jigsaw_loss(logits, answers[order]), loss)


def test_gradient_is_that_of_the_loss(puzzle):
    logits, answers = puzzle
    assert gradcheck(lambda x: jigsaw_loss(x, answers), (logits.requires_grad_(),))


@pytest.mark.parametrize(("n", "count"), [(3, 6), (4, 10), (5, 30)])
def test_permutations_are_chosen_greedily(n, count):
    assert distant_permutations(n, count).tolist() == slow_permutations(n, count)


def test_a_hundred_permutations_of_nine_are_distinct_and_far_apart():
    chosen = distant_permutations(9, 100).tolist()
    assert all(sorted(p) == list(range(9)) for p in chosen)
    assert min(apart(a, b) for a, b in itertools.combinations(chosen, 2)) >= 6


@pytest.mark.parametrize(
    ("size", "tile"), [(16, 16), (37, 16), (48, 32), (64, 32), (96, 48), (224, 112)]
)
def test_a_tile_is_about_half_an_image_and_fits_a_transformer(size, tile):
    assert tile_size(size) == tile


def test_cells_are_75_pixels_for_a_tile_of_64():
    (view,) = Jigsaw.views(JigsawConfig(), 128)
    assert (view.size, view.policy) == (225, "upright")


@pytest.mark.parametrize(("place", "shift"), [(0.0, 0), (0.5, 2), (0.999, 3)])
def test_tiles_lie_where_they_are_asked_for(place, shift):
    x = torch.arange(2 * 3 * 22 * 22).view(2, 3, 22, 22)  # cells of 7 pixels, tiles of 4
    where = torch.tensor([place, 0.0]).expand(2, 9, 2)
    tiles = cut_tiles(x, 4, where).view(2, 9, 3, 4, 4)
    for row, column in itertools.product(range(3), repeat=2):
        top, left = 7 * row + shift, 7 * column
        expected = x[..., top : top + 4, left : left + 4]
        assert torch.equal(tiles[:, 3 * row + column], expected)


def test_each_tile_has_its_own_place():
    x, place = torch.randn(2, 1, 21, 21), torch.zeros(2, 9, 2)
    before = cut_tiles(x, 4, place)
    place[1, 8] = 0.5
    after = cut_tiles(x, 4, place)
    assert torch.equal(before[:17], after[:17])
    assert torch.equal(after[17], x[1, :, 16:20, 16:20])


def test_signals_are_refused_in_plain_words():
    with pytest.raises(UsageError, match="square images, not 1 x 90 pixels"):
        cut_tiles(torch.zeros(2, 1, 1, 90), 16, torch.zeros(2, 9, 2))


def test_every_channel_of_every_tile_is_normalized(objective, batch):
    seen, dim = [], objective.encoder.num_features
    objective.encoder.forward = lambda x: seen.append(x) or torch.zeros(len(x), dim)
    batch.views = (5 + 3 * batch.views[0],)
    objective(batch)
    (tiles,) = seen
    assert tiles.shape == (54, 3, 16, 16)
    torch.testing.assert_close(tiles.mean((2, 3)), torch.zeros(54, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(tiles.std((2, 3), correction=0), torch.ones(54, 3))


def test_shuffling_features_is_shuffling_tiles(objective, batch):
    objective.eval()
    tiles = cut_tiles(batch.views[0], 16, torch.zeros(6, 9, 2)).unflatten(0, (6, 9))
    answers = torch.tensor([0, 1, 2, 9, 4, 3])
    orders = objective.orders[answers]
    shuffled = torch.stack([image[order] for image, order in zip(tiles, orders, strict=True)])
    expected = objective.encoder(shuffled.flatten(0, 1)).unflatten(0, (6, 9))
    features = objective.encoder(tiles.flatten(0, 1)).unflatten(0, (6, 9))
    torch.testing.assert_close(objective.shuffle(features, answers), expected)


def test_gray_images_have_equal_channels(batch):
    encoder = create_encoder("test_resnet", 3, 32)
    objective = Jigsaw(encoder, JigsawConfig(num_permutations=2, hidden_dim=8, gray=1.0))
    seen, dim = [], encoder.num_features
    encoder.forward = lambda x: seen.append(x) or torch.zeros(len(x), dim)
    objective(batch)
    torch.testing.assert_close(seen[0], seen[0][:, :1].expand_as(seen[0]))


def test_accuracy_is_the_share_of_orders_told(objective, batch):
    objective.head.forward = lambda h: torch.eye(10)[:1].expand(len(h), 10)  # always the first
    objective.orders = objective.orders[:1]
    assert objective(batch).metrics["jigsaw_accuracy"] == 1


def test_the_permutations_are_saved_with_the_run(objective):
    assert objective.state_dict()["orders"].tolist() == distant_permutations(9, 10).tolist()
