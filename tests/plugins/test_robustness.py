from dataclasses import replace

import albumentations as A
import cv2
import numpy as np
import pytest

from ssl_kit import Corruption, UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData
from ssl_kit.evaluation.pretrained import from_init
from ssl_kit.plugins.domains.natural import NATURAL, Noise, jpeg, noise
from ssl_kit.plugins.evaluations.knn import KNN, KNNConfig
from ssl_kit.plugins.evaluations.linear import Linear, LinearConfig
from ssl_kit.plugins.evaluations.robustness import Robustness, RobustnessConfig


@pytest.fixture
def bench(memory_dataset):
    """Bright and dark noisy images: easy until noise covers the difference."""
    rng = np.random.default_rng(0)
    bright = np.arange(60) % 2
    images = [rng.integers(40 + 60 * b, 90 + 60 * b, (16, 16, 3)).astype(np.uint8) for b in bright]
    dataset = memory_dataset(images, labels=["dark", "bright"] * 30)
    field = replace(NATURAL, corruptions={"noise": Corruption(noise, (40, -30), "dB")})
    data = EvaluationData(dataset, split(dataset.index, 0.3), field, workers=0)
    return from_init("scratch", "test_resnet", 16, dataset, data.splits.train), data


@pytest.mark.parametrize(
    ("head", "alone"), [("knn", KNN(KNNConfig())), ("linear", Linear(LinearConfig()))]
)
def test_clean_images_do_as_the_head_alone(bench, head, alone):
    found = Robustness(RobustnessConfig(head=head)).evaluate(*bench).metrics
    assert found["accuracy@clean"] == alone.evaluate(*bench).metrics["accuracy"]


def test_severe_corruption_costs_and_mild_does_not(bench):
    found = Robustness(RobustnessConfig()).evaluate(*bench)
    values = {name: estimate.value for name, estimate in found.metrics.items()}
    assert values["accuracy@clean"] == values["accuracy@noise 40 dB"] == 1
    assert values["accuracy@noise -30 dB"] < 0.8
    assert found.main == "accuracy@all"
    both = values["accuracy@noise 40 dB"] + values["accuracy@noise -30 dB"]
    assert values["accuracy@all"] == pytest.approx(both / 2)


def test_a_domain_without_corruptions_is_a_plain_error(bench):
    model, data = bench
    with pytest.raises(UsageError, match="'natural' has no corruptions"):
        Robustness(RobustnessConfig()).evaluate(
            model, replace(data, domain=replace(data.domain, corruptions={}))
        )


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_has_the_ratio_asked_for(kind, channels):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.4, 0.6, (64, 64, channels)) * (255 if kind == np.uint8 else 1)
    noise = Noise(20)
    noise.set_random_state(rng, None)
    image = image.astype(kind)
    made = noise(image=image)["image"]
    assert made.dtype == kind
    power = np.square(image.astype(float)).mean() / np.square(made.astype(float) - image).mean()
    assert 10 * np.log10(power) == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_compression_costs_more_at_low_quality(kind, channels):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.2, 0.8, (32, 32, channels)) * (255 if kind == np.uint8 else 1)
    image = image.astype(kind)
    gaps = []
    for quality in (90, 10):
        made = jpeg(quality, ())(image=image)["image"]
        assert (made.dtype, made.shape) == (kind, image.shape)
        gaps.append(np.abs(made.astype(float) - image).mean())
    assert gaps[0] < gaps[1]


def test_corruptions_go_from_mild_to_severe():
    corruptions = domains["natural"].corruptions
    assert set(corruptions) == {"noise", "blur", "contrast", "JPEG"}
    image = np.random.default_rng(0).integers(60, 190, (48, 48, 3)).astype(np.uint8)
    for corruption in corruptions.values():
        gaps = []
        for strength in corruption.strengths:
            transform = corruption.transform(strength, ("red", "green", "blue"))
            pipeline = A.Compose([transform])
            pipeline.set_random_seed(0)
            made = pipeline(image=image)["image"].astype(float)
            gaps.append(np.abs(made - image).mean())
        assert gaps == sorted(gaps)


def test_compression_is_that_of_the_quality():
    image = np.random.default_rng(0).integers(60, 190, (48, 48, 3)).astype(np.uint8)
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])
    expected = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(jpeg(10, ("red", "green", "blue"))(image=image)["image"], expected)
