from pathlib import Path

import numpy as np

from ssl_kit import Dataset
from ssl_kit.data import kept_in_memory
from ssl_kit.data.in_memory import InMemory

INHERITED = {
    *("Config", "accepts", "example", "open", "prepare"),  # asked before there are images
    *("targets", "value_range"),  # follow from the index and the arguments
    "filled",  # which `read` sets
}


def test_images_in_memory_are_the_same_dataset_to_a_reader_of_annotations(memory_dataset):
    dataset = memory_dataset(np.zeros((2, 4, 4, 3), np.uint8))
    assert kept_in_memory(dataset, np.arange(2), 0).orientation(0) == 1
    dataset.path, dataset.orientation = Path("images"), lambda i: 5 + i
    kept = kept_in_memory(dataset, np.arange(2), 0)
    assert kept is not dataset
    assert (kept.path, kept.orientation(1)) == (Path("images"), 6)


def test_signals_in_memory_are_altered_before_they_become_images(memory_dataset):
    dataset = memory_dataset(np.zeros((2, 4, 4, 3), np.uint8))
    altered = memory_dataset(np.ones((2, 4, 4, 3), np.uint8))
    dataset.through = lambda transform: altered
    assert InMemory(dataset, np.arange(2)).through(lambda image: {"image": image}) is altered


def test_everything_that_a_dataset_offers_is_offered_from_memory(memory_dataset):
    kept = InMemory(memory_dataset(np.zeros((2, 4, 4, 3), np.uint8)), np.arange(2))
    offered = {name for name in {*dir(Dataset), *Dataset.__annotations__} if name[0] != "_"}
    assert offered - INHERITED <= {*vars(InMemory), *vars(kept)}
