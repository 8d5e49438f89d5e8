import numpy as np
import pytest

from ssl_kit.data.channel_statistics import statistics_for
from ssl_kit.nn import create_encoder


@pytest.fixture
def statistics(memory_dataset):
    def found(init, channels):
        rng = np.random.default_rng(0)
        images = [rng.integers(0, 20, (8, 8, len(channels))).astype(np.uint8) for _ in range(4)]
        dataset = memory_dataset(images)
        dataset.channels = channels
        encoder = create_encoder("test_resnet", len(channels), 16)
        encoder.body.pretrained_cfg.update(mean=(0.5, 0.4, 0.3), std=(0.3, 0.2, 0.1))
        return statistics_for(encoder, init, dataset, np.arange(4))

    return found


def test_pretrained_weights_get_what_they_expect(statistics):
    found = statistics("weights.safetensors", ("blue", "nir", "red"))
    np.testing.assert_allclose(found.mean, [0.3, 0.4, 0.5])
    np.testing.assert_allclose(found.std, [0.1, 0.2, 0.3])


def test_random_weights_get_what_is_measured(statistics):
    found = statistics("scratch", ("gray",))
    np.testing.assert_allclose(found.mean, [9.5 / 255], atol=0.005)
    np.testing.assert_allclose(found.std, [np.sqrt(399 / 12) / 255], atol=0.005)
