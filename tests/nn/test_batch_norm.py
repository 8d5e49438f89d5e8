import copy

import pytest
import torch
from torch import nn

from ssl_kit.nn import batch_norm_groups, create_encoder, random_groups
from ssl_kit.nn.batch_norm import SyncBatchNorm, sync_batch_norm

BATCH_NORM = nn.modules.batchnorm._BatchNorm


@pytest.mark.parametrize(("device", "kind"), [("cpu", SyncBatchNorm), ("cuda", nn.SyncBatchNorm)])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])  # the second: fused layers
def test_every_batch_norm_is_synchronized_and_computes_the_same(name, device, kind):
    encoder = create_encoder(name, 3, 32)
    plain, x = copy.deepcopy(encoder).eval(), torch.randn(2, 3, 32, 32)
    synced = sync_batch_norm(encoder, device).eval()
    layers = [module for module in synced.modules() if isinstance(module, BATCH_NORM)]
    assert layers
    assert all(isinstance(layer, kind) for layer in layers)
    torch.testing.assert_close(synced(x), plain(x))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_an_encoder_that_several_modules_have_keeps_its_activations(device):
    encoder = create_encoder("test_efficientnet", 3, 32)
    plain, x = copy.deepcopy(encoder).eval(), torch.randn(2, 3, 32, 32)
    parts = nn.ModuleList([nn.Sequential(encoder), nn.Sequential(encoder)])
    synced = sync_batch_norm(parts, device).eval()
    assert synced[0][0] is synced[1][0]
    torch.testing.assert_close(synced[0](x), plain(x))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_weights_are_shared_and_the_mode_is_kept(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    weight = model[1].weight
    synced = sync_batch_norm(model.eval(), device)
    assert synced[1].weight is weight
    assert not synced[1].training


@pytest.mark.parametrize(
    ("batch", "size", "sizes"),
    [(128, 32, [32] * 4), (20, 32, [10, 10]), (15, 32, [15]), (70, 32, [35, 35]), (70, 0, [70])],
)
def test_groups_are_random_and_of_about_the_size_asked_for(batch, size, sizes):
    x = torch.zeros(batch, 3)
    members = random_groups(x, size)
    assert members.sum(dim=0).tolist() == sizes
    assert members.sum(dim=1).tolist() == [1] * batch
    assert len(sizes) == 1 or not torch.equal(members, random_groups(x, size))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])  # the second: fused layers
def test_groups_are_normalized_as_if_each_was_the_whole_batch(name):
    """Shuffling BN of the authors: the samples of a group are on one GPU."""
    encoder = create_encoder(name, 3, 32).double()
    apart, x = copy.deepcopy(encoder), torch.randn(16, 3, 32, 32, dtype=torch.float64)
    members = random_groups(x, 8).bool()
    with batch_norm_groups(encoder, members):
        y = encoder(x)
    torch.testing.assert_close(encoder(x), copy.deepcopy(apart)(x))  # as before, afterwards
    for group in members.T:
        torch.testing.assert_close(y[group], copy.deepcopy(apart)(x[group]))
    y.square().sum().backward()
    loss = sum(apart(x[group]).square().sum() for group in members.T)
    loss.backward()
    for p, q in zip(encoder.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_running_statistics_are_the_means_over_the_groups():
    layer, x = nn.BatchNorm1d(2, momentum=1.0), torch.arange(16.0).view(8, 2)
    members = torch.tensor([[1, 0]] * 4 + [[0, 1]] * 4)
    with batch_norm_groups(nn.Sequential(layer), members):
        layer(x)
    torch.testing.assert_close(layer.running_mean, (x[:4].mean(0) + x[4:].mean(0)) / 2)
    torch.testing.assert_close(layer.running_var, (x[:4].var(0) + x[4:].var(0)) / 2)


def test_groups_are_exact_under_autocast_and_unused_in_evaluation():
    torch.manual_seed(0)
    layer, x = nn.BatchNorm2d(2), 100 + torch.randn(16, 2, 3, 3)
    members = random_groups(x, 8)
    with batch_norm_groups(nn.Sequential(layer), members):
        expected = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer(x), expected)
    plain = layer.eval()(x)
    with batch_norm_groups(nn.Sequential(layer), members):
        torch.testing.assert_close(layer(x), plain)
