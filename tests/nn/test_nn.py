import warnings

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from ssl_kit import Batch, View
from ssl_kit.core.discovery import objectives as registry
from ssl_kit.nn import (
    FeatureQueue,
    accuracy,
    all_gather,
    cosine_scores,
    encode_views,
    full_precision,
    kmeans,
    mlp,
    multi_crop,
    off_diagonal,
    rand_per_sample,
    rand_shared,
    two_views,
)
from ssl_kit.nn.distributed import rank, world_size
from ssl_kit.plugins.objectives.simclr import SimCLR
from ssl_kit.plugins.objectives.vicreg import VICReg

WORLD, B, D = 2, 8, 5


def layers(module):
    return [type(layer).__name__ for layer in module]


def test_mlp_has_norm_and_relu_between_its_layers():
    head = mlp(4, 8, 8, 2)
    block = ["Linear", "BatchNorm1d", "ReLU"]
    assert layers(head) == [*block, *block, "Linear"]
    assert [layer.bias is None for layer in head if isinstance(layer, nn.Linear)] == [1, 1, 0]
    assert head(torch.randn(3, 4)).shape == (3, 2)


def test_mlp_of_two_widths_is_one_layer():
    assert layers(mlp(4, 2)) == ["Linear"]
    assert mlp(4, 2, bias=False)[0].bias is None


def test_mlp_may_end_in_a_norm_without_scale_and_shift():
    head = mlp(4, 8, 2, last_norm=True)
    z = head(torch.randn(64, 4))
    assert layers(head)[-2:] == ["Linear", "BatchNorm1d"]
    assert not list(head[-1].parameters())
    torch.testing.assert_close(z.std(dim=0, correction=0), torch.ones(2), rtol=0, atol=1e-3)


@full_precision
def gram(x, scale=1.0):
    """A product, so that autocast would lower its precision."""
    return x @ x.T * scale


def test_full_precision_under_autocast_is_that_without():
    x = torch.randn(6, 40)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x.T).dtype == torch.bfloat16
        found = gram(x, scale=2.0)
    assert found.dtype == torch.float32
    assert torch.equal(found, gram(x, scale=2.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_full_precision_widens_half_and_passes_the_gradient(dtype):
    x = torch.randn(6, 40, dtype=dtype, requires_grad=True)
    found = gram(x)
    found.sum().backward()
    assert found.dtype == torch.float32
    assert x.grad.dtype == dtype


def test_full_precision_widens_arguments_given_by_name():
    assert gram(x=torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32


def test_full_precision_keeps_float64():
    assert gram(torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64


def test_full_precision_keeps_name_and_docstring():
    assert gram.__name__ == "gram"
    assert gram.__doc__.startswith("A product")


def test_off_diagonal_leaves_out_the_diagonal_only():
    matrix = torch.arange(9).view(3, 3)
    assert off_diagonal(matrix).tolist() == [1, 2, 3, 5, 6, 7]


def test_off_diagonal_takes_what_is_not_contiguous():
    matrix = torch.randn(4, 4).T
    assert torch.equal(off_diagonal(matrix), matrix[~torch.eye(4, dtype=torch.bool)])


def test_cosine_scores_are_those_of_all_pairs():
    x, y = torch.randn(2, 3, 5), torch.randn(4, 5)
    expected = torch.cosine_similarity(x[:, :, None], y, dim=3)
    torch.testing.assert_close(cosine_scores(x, y), expected)


def test_accuracy_is_the_share_of_largest_logits_at_the_label():
    logits = torch.tensor([[[0.0, 1.0], [2.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    assert accuracy(logits, torch.tensor([1, 1])).item() == 0.75


def test_two_views_have_the_default_augmentations():
    assert two_views(64) == (View(64), View(64))


def test_alone_there_is_nothing_to_gather():
    x = torch.randn(3, 2)
    assert all_gather(x) is x
    assert (rank(), world_size()) == (0, 1)


def test_a_queue_keeps_the_newest_first():
    queue = FeatureQueue(3, 2)
    queue.push(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    assert not queue.full
    queue.push(torch.tensor([[3.0, 0.0], [4.0, 0.0]]))
    assert queue.full
    assert queue()[:, 0].tolist() == [3.0, 4.0, 1.0]


def test_a_push_leaves_what_a_loss_has_used_alone():
    queue, x = FeatureQueue(4, 2), torch.randn(3, 2, requires_grad=True)
    loss = (x @ queue().T).sum()
    queue.push(x)
    loss.backward()
    assert x.grad is not None


def test_a_queue_is_all_in_its_state():
    queue, fresh = FeatureQueue(4, 2), FeatureQueue(4, 2)
    queue.push(torch.randn(5, 2))
    fresh.load_state_dict(queue.state_dict())
    assert fresh.full
    assert torch.equal(fresh(), queue())


def test_kmeans_finds_the_middle_of_groups_far_apart():
    middles = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    rows = middles.repeat_interleave(20, dim=0) + 0.1 * torch.randn(60, 2)
    found = kmeans(rows, 3)
    expected = rows.view(3, 20, 2).mean(dim=1)
    order = torch.cdist(expected, found).argmin(dim=1)
    torch.testing.assert_close(found[order], expected)


def test_kmeans_of_fewer_rows_than_clusters_still_gives_centers():
    found = kmeans(torch.randn(3, 2), 5)
    assert found.shape == (5, 2)
    assert len(found.unique(dim=0)) == 5


def test_views_of_the_same_size_are_encoded_together():
    passes = []

    def encode(x):
        passes.append(x.shape)
        return x.mean(dim=(2, 3))

    views = [torch.randn(2, 3, size, size) for size in (8, 8, 4, 4, 4)]
    found = encode_views(encode, views)
    assert passes == [(4, 3, 8, 8), (6, 3, 4, 4)]
    for view, z in zip(views, found, strict=True):
        torch.testing.assert_close(z, view.mean(dim=(2, 3)))


def test_multi_crop_has_two_large_views_and_small_ones_of_a_multiple_of_16():
    large, again, *small = multi_crop(224, 6, cut=0.3)
    assert (large, large.size, large.scale) == (again, 224, (0.3, 1.0))
    assert [(view.size, view.scale) for view in small] == [(96, (0.05, 0.3))] * 6


@pytest.mark.parametrize(
    ("name", "cut"), [("swav", 0.14), ("deepcluster", 0.14), ("dino", 0.4), ("lejepa", 0.3)]
)
def test_crops_are_cut_where_the_paper_cuts_them(name, cut):
    large, _, *small = registry[name].views(registry[name].Config(), 224)
    assert {view.scale for view in small} == {(0.05, cut)}
    assert large.scale == (cut, 1.0)


def test_draws_are_uniform_and_follow_the_seed():
    torch.manual_seed(3)
    drawn = rand_per_sample(1000, 2, like=torch.zeros(1))
    torch.manual_seed(3)
    assert torch.equal(drawn, rand_shared(1000, 2, like=torch.zeros(1)))
    assert 0 <= drawn.min() < 0.01
    assert 0.99 < drawn.max() < 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_draws_are_never_half_precise(dtype):
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert rand_shared(2, like=torch.zeros(1, dtype=dtype)).dtype == wide


# Two processes with half of the batch each must find the loss and the gradients of one process.


def objectives():
    """SimCLR and VICReg on a linear encoder, without batch normalization."""
    torch.manual_seed(0)
    encoder = nn.Linear(D, D)
    encoder.num_features = D
    found = {}
    for cls, options in ((SimCLR, {}), (VICReg, {"out_dim": 6})):
        objective = cls(encoder, cls.Config(**options))
        objective.projector = nn.Linear(D, 6)
        found[cls.__name__] = objective.double()
    return found


def loss_and_gradients(objective, views):
    none = torch.zeros(len(views[0]), dtype=torch.long)
    objective.zero_grad()
    loss = objective(Batch(tuple(views), none, none, none[:, None], ())).loss
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in objective.parameters()]


def one_of_two(rank, folder):
    """Does what DDP does: each process its part of the batch, then the mean of the gradients."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), WORLD)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=WORLD)
    found = {"gathered": all_gather(torch.tensor([rank, rank + 10]))}
    torch.manual_seed(rank + 5)
    found["rows"] = rand_per_sample(2, 3, like=torch.zeros(1))
    found["shared"] = rand_shared(3, like=torch.zeros(1))
    found["centers"] = kmeans(torch.arange(12.0).view(6, 2), 2, seed=rank)
    views = torch.load(folder / "views.pt")
    for name, objective in objectives().items():
        loss, gradients = loss_and_gradients(objective, views.chunk(WORLD, dim=1)[rank])
        for gradient in gradients:
            dist.all_reduce(gradient)
        found[name] = loss, [gradient / WORLD for gradient in gradients]
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def views():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, B, D, dtype=torch.float64, generator=generator)


@pytest.fixture(scope="module")
def found_by_two(views, tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    torch.save(views, folder / "views.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads, Python 3.12
        mp.start_processes(one_of_two, (folder,), nprocs=WORLD, start_method="fork")
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


def test_gather_joins_the_parts_in_the_order_of_the_processes(found_by_two):
    for found in found_by_two:
        assert found["gathered"].tolist() == [0, 10, 1, 11]


def test_two_processes_draw_what_one_would_for_the_joined_batch(found_by_two):
    torch.manual_seed(5)
    rows = rand_per_sample(4, 3, like=torch.zeros(1))
    assert torch.equal(torch.cat([found["rows"] for found in found_by_two]), rows)
    shared = rand_shared(3, like=torch.zeros(1))
    assert all(torch.equal(found["shared"], shared) for found in found_by_two)


def test_all_processes_have_the_centers_of_the_first(found_by_two):
    first, second = (found["centers"] for found in found_by_two)
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["SimCLR", "VICReg"])
def test_two_processes_equal_one(found_by_two, views, name):
    loss, gradients = loss_and_gradients(objectives()[name], views)
    for found in found_by_two:
        torch.testing.assert_close(found[name][0], loss, rtol=0, atol=1e-9)
        torch.testing.assert_close(found[name][1], gradients, rtol=0, atol=1e-9)
