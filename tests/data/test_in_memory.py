from pathlib import Path

import numpy as np

from ssl_kit.data import kept_in_memory


def test_images_in_memory_are_the_same_dataset_to_a_reader_of_annotations(memory_dataset):
    dataset = memory_dataset(np.zeros((2, 4, 4, 3), np.uint8))
    assert kept_in_memory(dataset, np.arange(2), 0).orientation(0) == 1
    dataset.path, dataset.orientation = Path("images"), lambda i: 5 + i
    kept = kept_in_memory(dataset, np.arange(2), 0)
    assert kept is not dataset
    assert (kept.path, kept.orientation(1)) == (Path("images"), 6)
