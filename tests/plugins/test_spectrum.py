import numpy as np
import pytest
import torch

from ssl_kit import UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.evaluation.pretrained import from_init
from ssl_kit.plugins.evaluations.spectrum import Spectrum, SpectrumConfig
from ssl_kit.training.representation import alignment, lidar, rankme, uniformity


@pytest.fixture
def bench(memory_dataset):
    """Images without a single label."""
    images = list(np.random.default_rng(0).integers(0, 255, (24, 16, 16, 3), dtype=np.uint8))
    dataset = memory_dataset(images)
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)
    return from_init("scratch", "test_resnet", 32, dataset, np.arange(24)), data


def test_unlabeled_images_are_measured(bench):
    model, data = bench
    found = Spectrum(SpectrumConfig(images=12, views=3)).evaluate(model, data)
    z = torch.from_numpy(data.embed_views(model, np.linspace(0, 23, 12).astype(int), 3)).double()
    remark = found.details["remarks"][0]
    assert "96 features, more than the 24 degrees of freedom within images" in remark
    assert found.details | {"remarks": 0} == {"images": 12, "views": 3, "width": 96, "remarks": 0}
    values = {name: estimate.value for name, estimate in found.metrics.items()}
    assert values["rankme"] == pytest.approx(rankme(z.flatten(0, 1)))
    assert values["lidar"] == pytest.approx(lidar(z))
    assert values["alignment"] == pytest.approx(alignment(z))
    assert values["uniformity"] == pytest.approx(uniformity(z[:, 0]))


def test_no_measure_prefers_an_arm_or_has_an_interval(bench):
    found = Spectrum(SpectrumConfig()).evaluate(*bench)
    assert found.main == ""
    assert all(np.isnan(estimate.low) for estimate in found.metrics.values())


def test_images_that_cannot_be_read_are_a_plain_error(memory_dataset):
    images = ["broken"] * 8 + [np.zeros((16, 16, 3), np.uint8)] * 2
    dataset = memory_dataset(images)
    data = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)
    model = from_init("scratch", "test_resnet", 32, dataset, np.arange(8, 10))
    with pytest.raises(UsageError, match="at least 4 readable images"):
        Spectrum(SpectrumConfig()).evaluate(model, data)
