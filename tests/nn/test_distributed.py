import copy

import pytest
import torch
from torch import nn

from ssl_kit.nn import create_encoder
from ssl_kit.nn.distributed import SyncBatchNorm, sync_batch_norm

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
def test_weights_are_shared_and_the_mode_is_kept(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    weight = model[1].weight
    synced = sync_batch_norm(model.eval(), device)
    assert synced[1].weight is weight
    assert not synced[1].training
