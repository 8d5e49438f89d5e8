import numpy as np
import pytest
import torch

from ssl_kit.data import grid_neighbors
from ssl_kit.plugins.evaluations.pooling import POOLINGS, Bag, join, propagate

KNOWN = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
EXACT = {"rtol": 0, "atol": 1e-12}


def network(pooling, classes=3):
    torch.manual_seed(0)
    return POOLINGS[pooling](KNOWN, classes, 8).double()


def grid_bag(n, seed=0, side=4):
    """A bag of n tiles at places of a grid, in no order."""
    rng = np.random.default_rng(seed)
    places = np.argwhere(np.ones((side, side)))[rng.permutation(side * side)[:n]]
    return Bag(torch.from_numpy(rng.normal(size=(n, 6))), torch.from_numpy(grid_neighbors(places)))


def adjacency(edges, n):
    found = np.zeros((n, n))
    found[tuple(edges.numpy())] = 1
    return found


def standardized(tiles):
    known = KNOWN.double().numpy()
    return (tiles.numpy() - known.mean(0)) / known.std(0)


def weight(layer):
    return layer.weight.detach().numpy()


def slow_propagate(values, joined):
    with_self = joined + np.eye(len(joined))
    scale = np.diag(with_self.sum(axis=1) ** -0.5)
    return scale @ with_self @ scale @ values


def test_propagation_is_the_dense_formula():
    bag = grid_bag(9)
    expected = slow_propagate(bag.tiles.numpy(), adjacency(bag.edges, 9))
    np.testing.assert_allclose(propagate(*bag).numpy(), expected, **EXACT)


def test_a_tile_without_neighbors_keeps_its_values():
    tiles = torch.randn(3, 4)
    torch.testing.assert_close(propagate(tiles, torch.zeros(2, 0, dtype=torch.long)), tiles)


def test_the_graph_is_two_dense_convolutions_then_mean_and_maximum():
    net, bag = network("graph"), grid_bag(9)
    joined, h = adjacency(bag.edges, 9), standardized(bag.tiles)
    for layer in (net.embed, net.second):
        h = np.maximum(slow_propagate(h @ weight(layer).T, joined), 0)
    pooled = np.concatenate([h.mean(axis=0), h.max(axis=0)])
    expected = weight(net.head) @ pooled + net.head.bias.detach().numpy()
    np.testing.assert_allclose(net(join([bag]))[0].detach().numpy(), expected, atol=1e-6)


def test_attention_is_equation_9_tile_by_tile():
    net, bag = network("attention"), grid_bag(7)
    v, u, w = weight(net.v), weight(net.u), weight(net.w)[0]
    hidden = [np.maximum(weight(net.embed) @ x, 0) for x in standardized(bag.tiles)]
    raised = [np.exp(w @ (np.tanh(v @ h) / (1 + np.exp(-(u @ h))))) for h in hidden]
    weights = [r / sum(raised) for r in raised]
    pooled = sum(a * h for a, h in zip(weights, hidden, strict=True))
    expected = weight(net.head) @ pooled + net.head.bias.detach().numpy()
    np.testing.assert_allclose(net(join([bag]))[0].detach().numpy(), expected, atol=1e-6)
    said = net.saliency(join([bag]), torch.tensor([0]))
    np.testing.assert_allclose(said.numpy(), weights, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_order_of_tiles_changes_nothing(pooling):
    net, bag = network(pooling), grid_bag(10)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    moved = Bag(bag.tiles[order], order.argsort()[bag.edges])
    torch.testing.assert_close(net(join([moved])), net(join([bag])), **EXACT)
    answer = torch.tensor([1])
    said, again = (net.saliency(join([b]), answer) for b in (bag, moved))
    torch.testing.assert_close(again, said[order], **EXACT)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_bags_of_any_size_get_the_same_answer_together_and_alone(pooling):
    net = network(pooling)
    bags = [grid_bag(n, seed=n) for n in (1, 12, 3, 16)]
    alone = torch.cat([net(join([bag])) for bag in bags])
    torch.testing.assert_close(net(join(bags)), alone, **EXACT)
    answers = torch.tensor([0, 1, 2, 1])
    said = [net.saliency(join([b]), k[None]) for b, k in zip(bags, answers, strict=True)]
    torch.testing.assert_close(net.saliency(join(bags), answers), torch.cat(said), **EXACT)


@pytest.mark.parametrize("pooling", ["mean", "max", "graph"])
def test_what_tiles_say_adds_up_to_the_logit(pooling):
    net, bag = network(pooling), grid_bag(10)
    logits = net(join([bag]))[0]
    for k in range(3):
        said = net.saliency(join([bag]), torch.tensor([k]))
        torch.testing.assert_close(said.sum(), logits[k] - net.head.bias[k], **EXACT)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_constant_feature_does_not_explode(pooling):
    known = KNOWN.clone()
    known[:, 2] = 5
    net = POOLINGS[pooling](known, 2, 8)
    bag = Bag(torch.randn(4, 6), torch.zeros(2, 0, dtype=torch.long))
    assert net(join([bag])).abs().max() < 100


def test_a_real_slide_is_a_graph(real_data):
    slides = pytest.importorskip("ssl_kit_histopathology.slides")
    path = real_data / "wsi" / "cmu-1-small-region.svs"
    places = slides.Slides.open(path, slides.SlidesConfig()).index.positions
    edges = grid_neighbors(places)
    tiles = torch.randn(len(places), 6, dtype=torch.float64)
    net, bag = network("graph"), Bag(tiles, torch.from_numpy(edges))
    said = net.saliency(join([bag]), torch.tensor([2]))
    assert said.shape == (len(places),)
    torch.testing.assert_close(said.sum(), net(join([bag]))[0, 2] - net.head.bias[2], **EXACT)
