from itertools import islice

import numpy as np
import pytest
import torch

from ssl_kit import DataError, Index, View
from ssl_kit.core.discovery import domains
from ssl_kit.data.loader import ViewDataset, load
from ssl_kit.data.order import Once, Stream
from ssl_kit.data.pairings import same_group
from ssl_kit.data.standardize import Standardize, to_batch
from ssl_kit.data.views import Renderer

POOL = np.arange(20)
WEAK = (View(8, policy="weak"),)


def images(n=20):
    """Images of one value each, so that a rendered view tells which image it shows."""
    return [np.full((12, 12, 1), 10 * i, np.uint8) for i in range(n)]


def views_of(dataset, pool=POOL, views=WEAK, **options):
    renderer = Renderer(domains["natural"].policies, views, dataset.channels, 0)
    return ViewDataset(dataset, pool, renderer, **options)


def noise(n=20):
    return list(np.random.default_rng(0).integers(0, 255, (n, 12, 12, 1), dtype=np.uint8))


def shown(raw, view=0):
    return (raw.views[view].flatten(1).double().mean(dim=1) / 10).tolist()


def orders(count, **options):
    stream = Stream(POOL, 6, seed=3, **options)
    return [(epoch, rows.tolist()) for epoch, rows in islice(stream, count)]


@pytest.mark.parametrize("keep", [False, True])
def test_the_same_batches_with_and_without_workers(memory_dataset, keep):
    views = (View(8), View(8))
    found = []
    for workers in (0, 2):
        data = views_of(memory_dataset(noise()), views=views, keep=keep)
        found.append(list(islice(load(data, Stream(POOL, 6, 3), workers), 7)))
    for one, two in zip(*found, strict=True):
        assert torch.equal(one.indices, two.indices)
        assert all(torch.equal(a, b) for a, b in zip(one.views, two.views, strict=True))


def test_a_later_start_goes_on_where_the_stream_was():
    assert orders(9)[4:] == orders(5, start=4)


def test_every_image_comes_at_most_once_an_epoch():
    batches = orders(6)
    assert [epoch for epoch, _ in batches] == [0, 0, 0, 1, 1, 1]
    for epoch in (0, 1):
        rows = [row for e, batch in batches if e == epoch for row in batch]
        assert len(rows) == len(set(rows)) == 18


def test_every_epoch_has_an_order_of_its_own():
    batches = orders(6)
    assert batches[:3] != batches[3:]
    assert orders(6) == batches
    assert next(iter(Stream(POOL, 6, seed=4)))[1].tolist() != batches[0][1]


def test_two_processes_share_each_batch():
    whole = orders(5)
    parts = [orders(5, rank=rank, world=2) for rank in (0, 1)]
    for (epoch, rows), (_, first), (_, second) in zip(whole, *parts, strict=True):
        assert sorted(first + second) == sorted(rows)
        assert len(first) == len(second) == 3
        assert epoch in (0, 1)


def test_once_covers_everything_with_a_short_last_batch():
    rows = [rows.tolist() for _, rows in Once(POOL, 6)]
    assert [len(batch) for batch in rows] == [6, 6, 6, 2]
    assert [row for batch in rows for row in batch] == POOL.tolist()


def test_an_unreadable_image_is_replaced_by_the_next_and_named(memory_dataset):
    source = images()
    source[3] = source[4] = "the file is cut off"
    raw = views_of(memory_dataset(source))[0, np.array([2, 3, 4])]
    assert shown(raw) == [2, 5, 5]
    assert raw.indices.tolist() == [2, 3, 4]
    assert set(raw.skipped) == {
        ("image3", "the file is cut off"),
        ("image4", "the file is cut off"),
    }


def test_a_replacement_comes_from_the_pool(memory_dataset):
    source = images()
    source[19] = "broken"
    raw = views_of(memory_dataset(source), pool=np.array([1, 7, 19]))[0, np.array([19])]
    assert shown(raw) == [1]


def test_an_unreadable_image_is_opened_once_only(memory_dataset):
    source, opened = images(), []
    source[3] = "broken"
    dataset = memory_dataset(source)
    read = dataset.read
    dataset.read = lambda i: (opened.append(i), read(i))[1]
    views = views_of(dataset)
    for epoch in range(3):
        assert views[epoch, np.array([3])].skipped == [("image3", "broken")]
    assert opened.count(3) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_readable_ends_with_a_plain_error(memory_dataset, workers):
    dataset = memory_dataset(images())
    dataset.images = ["broken"] * 20
    with pytest.raises(DataError, match=r"^None of the images"):
        next(load(views_of(dataset), Stream(POOL, 6, 3), workers))


def test_kept_images_are_decoded_once(memory_dataset):
    dataset, opened = memory_dataset(images(), value_range=[[0, 255]]), []
    read = dataset.read
    dataset.read = lambda i: (opened.append(i), read(i))[1]
    views = views_of(dataset, keep=True)
    first = views[0, POOL]
    assert shown(views[1, POOL]) == shown(first)
    assert sorted(opened) == POOL.tolist()


def test_every_second_view_shows_a_partner(memory_dataset):
    dataset = memory_dataset(images(), groups=[f"place{i % 10}" for i in range(20)])
    requests = (View(8, policy="weak"),) * 4
    views = views_of(dataset, views=requests, partners=same_group(dataset.index), seed=5)
    raw = views[0, POOL]
    assert shown(raw, 0) == shown(raw, 2) == POOL.tolist()
    assert shown(raw, 1) == shown(raw, 3) == ((POOL + 10) % 20).tolist()


def test_an_objective_is_told_where_the_partners_are(memory_dataset):
    groups = [f"place{i % 10}" for i in range(20)]
    dataset = memory_dataset(images(), groups=groups)
    where = np.arange(20.0)[:, None]
    dataset.index = Index.build([str(i) for i in range(20)], groups=groups, positions=where)
    views = views_of(dataset, partners=same_group(dataset.index))
    standardize = Standardize([0.5], [0.5], "cpu")
    batch = to_batch(views[0, POOL], dataset, standardize)
    assert batch.partner_positions[:, 0].tolist() == ((POOL + 10) % 20).tolist()
    assert to_batch(views_of(dataset)[0, POOL], dataset, standardize).partner_positions is None


def test_no_partner_comes_from_outside_the_pool(memory_dataset):
    dataset = memory_dataset(images(), groups=["one"] * 20)
    requests = (View(8, policy="weak"),) * 2
    views = views_of(dataset, POOL[:4], views=requests, partners=same_group(dataset.index))
    assert set(shown(views[0, POOL[:4]], 1)) <= set(POOL[:4].tolist())


def test_partners_change_with_the_epoch_and_the_seed(memory_dataset):
    dataset = memory_dataset(images(), groups=["one"] * 20)
    requests = (View(8, policy="weak"),) * 2

    def partners(seed, epoch):
        options = {"partners": same_group(dataset.index), "seed": seed}
        return shown(views_of(dataset, views=requests, **options)[epoch, POOL], 1)

    assert partners(0, 0) == partners(0, 0)
    assert partners(0, 0) != partners(0, 1)
    assert partners(0, 0) != partners(1, 0)
    assert all(i != p for i, p in enumerate(partners(0, 0)))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_standardize_against_numpy(dtype):
    unit = np.random.default_rng(0).random((2, 5, 6, 3))
    pixels = (unit * 255).astype(dtype) if dtype == np.uint8 else unit.astype(dtype)
    mean, std = [0.1, 0.5, 0.9], [0.2, 0.3, 0.4]
    x = Standardize(mean, std, "cpu")(torch.from_numpy(pixels))
    expected = (pixels / (255 if dtype == np.uint8 else 1) - mean) / std
    np.testing.assert_allclose(x.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.dtype == torch.float32


def test_standardize_leaves_its_input_alone():
    pixels = torch.ones(1, 4, 4, 1)
    Standardize([0.5], [0.5], "cpu")(pixels)
    assert (pixels == 1).all()


def test_a_batch_knows_groups_positions_and_keys(memory_dataset):
    dataset = memory_dataset(
        images(), groups=[f"p{i // 10}" for i in range(20)], positions=np.arange(40).reshape(20, 2)
    )
    raw = views_of(dataset)[0, np.array([3, 12])]
    batch = to_batch(raw, dataset, Standardize([0.5], [0.5], "cpu"))
    assert len(batch) == 2
    assert batch.keys == ("image3", "image12")
    assert batch.groups.tolist() == dataset.index.groups[[3, 12]].tolist()
    assert batch.positions.tolist() == [[6, 7], [24, 25]]
    assert batch.views[0].shape == (2, 1, 8, 8)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_has_the_frames_of_the_views_that_asked(memory_dataset, workers):
    views = (View(8), View(6, locate=True))
    data = views_of(memory_dataset(noise()), views=views)
    raw = next(load(data, Stream(POOL, 6, 3), workers))
    batch = to_batch(raw, memory_dataset(noise()), Standardize([0.5], [0.5], "cpu"))
    assert [frame.shape for frame in batch.frames] == [(6, 0, 3), (6, 2, 3)]
    renderer = Renderer(domains["natural"].policies, views, ("c0",), 0)
    for row, index in enumerate(batch.indices.tolist()):
        _, expected = renderer.locate(noise()[index], 0, index, 1)
        np.testing.assert_array_equal(batch.frames[1][row].numpy(), expected)


def test_frames_differ_from_image_to_image_and_epoch_to_epoch(memory_dataset):
    data = views_of(memory_dataset(noise()), views=(View(8, locate=True),))
    first, second = (data[epoch, POOL].frames[0] for epoch in (0, 1))
    assert len(first.flatten(1).unique(dim=0)) > 15
    assert not torch.equal(first, second)


def test_asking_for_frames_changes_no_view(memory_dataset):
    plain, located = (
        views_of(memory_dataset(noise()), views=(View(8, locate=on),))[0, POOL]
        for on in (False, True)
    )
    assert torch.equal(plain.views[0], located.views[0])
    assert plain.frames[0].shape == (20, 0, 3)
