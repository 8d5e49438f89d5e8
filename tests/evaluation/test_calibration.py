"""Batch-norm statistics of random weights, measured on images."""

import numpy as np
import pytest
import torch

from ssl_kit.core.discovery import domains
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.evaluation import calibration
from ssl_kit.evaluation.calibration import measure_statistics
from ssl_kit.evaluation.pretrained import embed, from_init


def digits():
    return open_dataset(domains["natural"], DataConfig(path="digits"))


def untrained(name):
    data = digits()
    return data, from_init("scratch", name, 32, data, np.arange(64))


@pytest.fixture
def without_choice(monkeypatch):
    monkeypatch.setattr(calibration, "_accuracy", lambda *_: 0.0)


def test_statistics_that_serve_worse_are_not_taken(monkeypatch):
    accuracies = iter([0.6, 0.5])
    monkeypatch.setattr(calibration, "_accuracy", lambda *_: next(accuracies))
    data, model = untrained("test_resnet")
    before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    measure_statistics(model, data, np.arange(64), domains["natural"])
    assert all(torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())


def test_features_of_random_weights_are_those_of_training_mode(without_choice):
    data, model = untrained("test_resnet")
    before = embed(model, data, np.arange(8), domains["natural"], workers=0)[0]
    measure_statistics(model, data, np.arange(64), domains["natural"])
    after = embed(model, data, np.arange(64), domains["natural"], workers=0)[0]
    assert not np.allclose(before, after[:8])
    layer = next(m for m in model.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert layer.num_batches_tracked == 1
    assert not torch.equal(layer.running_mean, torch.zeros_like(layer.running_mean))


def test_the_first_layer_has_the_statistics_of_the_images(without_choice):
    data, model = untrained("test_resnet")
    measure_statistics(model, data, np.arange(64), domains["natural"])
    layer = next(m for m in model.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    embed(model, data, np.arange(64), domains["natural"], workers=0)
    mean = torch.cat(seen).mean(dim=(0, 2, 3))
    torch.testing.assert_close(layer.running_mean, mean, rtol=1e-3, atol=1e-4)


def test_networks_without_batch_normalization_are_left_alone():
    data, model = untrained("test_vit")
    before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    measure_statistics(model, data, np.arange(64), domains["natural"])
    assert all(torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())
