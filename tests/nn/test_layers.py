import copy

import pytest
import torch
from torch import nn

from ssl_kit import UsageError
from ssl_kit.nn import create_encoder
from ssl_kit.nn.batch_norm import SyncBatchNorm, sync_batch_norm
from ssl_kit.nn.layers import freeze_all_statistics, freeze_first_layers, layer_numbers

BATCH_NORM = nn.modules.batchnorm._BatchNorm


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_the_first_layers_are_frozen(name):
    encoder = create_encoder(name, 3, 32)
    freeze_first_layers(encoder, 2)
    numbers = layer_numbers(encoder.body)
    assert {key: p.requires_grad for key, p in encoder.body.named_parameters()} == {
        key: number >= 2 for key, number in numbers.items() if key != "head.weight"
    }


@pytest.mark.parametrize("synced", [False, True])
def test_statistics_of_frozen_layers_stay_also_in_copies(synced):
    encoder = create_encoder("test_resnet", 3, 32)
    freeze_first_layers(encoder, 2)
    if synced:
        encoder = sync_batch_norm(encoder)
        assert any(isinstance(layer, SyncBatchNorm) for layer in encoder.modules())
    for network in (encoder, copy.deepcopy(encoder)):
        before = {key: b.clone() for key, b in network.body.named_buffers()}
        network.eval().train()(torch.randn(4, 3, 32, 32))
        numbers = layer_numbers(network.body)
        for key, buffer in network.body.named_buffers():
            weight = f"{key.rpartition('.')[0]}.weight"
            assert torch.equal(buffer, before[key]) == (numbers[weight] < 2), key


def test_freezing_all_layers_is_refused():
    with pytest.raises(UsageError, match="leaves nothing to train: 'test_resnet' has"):
        freeze_first_layers(create_encoder("test_resnet", 3, 32), 50)


def test_all_statistics_stay_while_weights_are_trained():
    encoder = create_encoder("test_resnet", 3, 32)
    freeze_all_statistics(encoder)
    before = {key: b.clone() for key, b in encoder.body.named_buffers()}
    encoder.train()(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(torch.equal(b, before[key]) for key, b in encoder.body.named_buffers())
    assert all(p.grad is not None for p in encoder.body.parameters())
