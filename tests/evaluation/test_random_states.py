"""What is asked of an encoder leaves the random numbers of the caller alone."""

import random

import numpy as np
import pytest
import torch

import ssl_kit
from ssl_kit.data.splits import split
from ssl_kit.evaluation.pretrained import from_init
from ssl_kit.evaluation.requests import open_images
from ssl_kit.training.progress import Progress
from ssl_kit.training.start import start

QUIET = Progress(quiet=True)


@pytest.fixture
def unchanged():
    """Fails if a test changes a global random state."""
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    yield
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("names", [["knn", "linear"], ["finetune"], ["episodes", "spectrum"]])
def test_evaluate(finished_run, names):
    few = {"finetune.epochs": 2, "episodes.episodes": 20, "spectrum.images": 32}
    options = {key: value for key, value in few.items() if key.split(".")[0] in names}
    ssl_kit.evaluate(finished_run, evaluation=",".join(names), set=options)


@pytest.mark.usefixtures("unchanged")
def test_embed(finished_run, tmp_path):
    ssl_kit.embed(finished_run, out=tmp_path / "features.npz")


@pytest.mark.usefixtures("unchanged")
def test_finetune(finished_run, tmp_path):
    ssl_kit.finetune(finished_run, out=tmp_path / "out", set={"epochs": 1})


@pytest.mark.usefixtures("unchanged")
def test_initial_weights(shared_images):
    _, dataset, config = open_images("", "natural", str(shared_images), "")
    pool = split(dataset.index, config.holdout).train
    one, two = (from_init("scratch", "test_resnet", 32, dataset, pool) for _ in "ab")
    pairs = zip(one.encoder.parameters(), two.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("workers", [0, 2])
def test_train(tiny, tmp_path, workers):
    start([tiny, {"train": {"epochs": 1, "workers": workers}}], tmp_path / "run", QUIET)
