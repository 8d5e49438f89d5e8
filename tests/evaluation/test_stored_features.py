from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ssl_kit import Config
from ssl_kit.evaluation.stored_features import stored


@pytest.fixture
def asked(memory_dataset, tmp_path):
    """Asks for the features of 100 images; tells how many were embedded each time."""
    dataset = memory_dataset([np.zeros((8, 8, 1), np.uint8)] * 100)
    net = torch.nn.Linear(3, 4)
    statistics = SimpleNamespace(mean=[0.0], std=[1.0])
    model = SimpleNamespace(encoder=net, image_size=8, channels=("c0",), statistics=statistics)
    truth = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    seen = []

    def ask(images=100, unreadable=()):
        def embed(wanted):
            seen.append(len(wanted))
            rows = wanted[~np.isin(wanted, unreadable)]
            return truth[rows], rows

        seen.clear()
        found, rows = stored(tmp_path / "kept", model, dataset, np.arange(images), embed)
        np.testing.assert_array_equal(found, truth[rows])
        return list(seen)

    folder = tmp_path / "kept"
    return SimpleNamespace(ask=ask, model=model, dataset=dataset, truth=truth, folder=folder)


def test_the_second_time_a_few_images_are_looked_at(asked):
    assert asked.ask() == [100]
    assert asked.ask() == [32]


def test_images_that_cannot_be_read_stay_out(asked):
    assert asked.ask(unreadable=[3, 99]) == [100]
    assert asked.ask(unreadable=[3, 99]) == [34]  # they are counted again


def test_another_encoder_size_or_choice_of_images_has_its_own_file(asked):
    asked.ask()
    assert asked.ask(images=50) == [50]
    asked.model.image_size = 16
    assert asked.ask() == [100]
    asked.model.encoder.weight.data += 1
    assert asked.ask() == [100]
    assert len(list(asked.folder.iterdir())) == 4


def test_other_options_of_the_reader_have_their_own_file(asked):
    class Options(Config):
        tile: int = 64

    asked.ask()
    asked.dataset.options = Options(tile=32)
    assert asked.ask() == [100]
    asked.dataset.options = Options()
    assert asked.ask() == [32]


def test_images_that_have_changed_are_embedded_again(asked):
    asked.ask()
    asked.truth += 0.1
    assert asked.ask() == [32, 100]
    assert asked.ask() == [32]


def test_a_damaged_file_is_replaced(asked):
    asked.ask()
    (file,) = asked.folder.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert asked.ask() == [100]
    file.write_bytes(b"")
    assert asked.ask() == [100]
