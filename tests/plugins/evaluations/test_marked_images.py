import numpy as np
import pytest
import torch

from ssl_kit.plugins.evaluations.annotations import Located, Objects
from ssl_kit.plugins.evaluations.marked_images import Images, Unreadable, mirror


def objects(*boxes, outlined=True, ignored=()):
    """Boxes (x1, y1, x2, y2), outlined by polygons of the same form."""
    n = len(boxes)
    polygons = tuple(
        [[float(v) for v in (x1, y1, x2, y1, x2, y2, x1, y2)]] if outlined else []
        for x1, y1, x2, y2 in boxes
    )
    corners = np.array(boxes, dtype=float).reshape(-1, 4)
    skipped = np.isin(np.arange(n), ignored)
    return Objects(corners, np.zeros(n, np.int64), skipped, np.ones(n), polygons)


def images(dataset, marked, size=40, learn=True):
    """Those that are marked, in order."""
    return Images(dataset, Located(("a",), marked, 0), np.array(list(marked)), size, learn)


@pytest.fixture
def bright(memory_dataset):
    """An image of 80 by 40 pixels, bright in one box; one that is small; and a damaged one."""
    image = np.zeros((80, 40, 3), np.uint8)
    image[8:40, 4:20] = 255
    return memory_dataset([image, image[:10, :10], "the file is empty"])


def extent(filled):
    """x1, y1, x2, y2 of what is over one half."""
    rows, columns = np.nonzero(np.asarray(filled) > 0.5)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [40, 80, 160])
def test_boxes_and_masks_stay_on_what_they_mark(bright, size, mirrored):
    marked = {0: objects((4, 8, 20, 40))}
    seen = images(bright, marked, size)[0]
    image, targets = seen.targets(mirrored)
    assert tuple(image.shape) == (3, size, size // 2)
    expected = extent(image[0])
    assert extent(targets["masks"][0]) == expected
    np.testing.assert_allclose(targets["boxes"][0].numpy(), expected)
    assert targets["labels"].tolist() == [1]


def test_mirroring_twice_changes_nothing():
    image, boxes = torch.rand(3, 8, 9), torch.tensor([[1.0, 2, 4, 5]])
    twice, targets = mirror(*mirror(image, {"boxes": boxes}))
    assert torch.equal(twice, image)
    assert torch.equal(targets["boxes"], boxes)


def test_what_is_ignored_is_not_learned_but_tested(bright):
    marked = {0: objects((4, 8, 20, 40), (0, 0, 9, 9), ignored=[1])}
    learned, tested = (images(bright, marked, learn=learn)[0] for learn in (True, False))
    assert len(learned.objects) == 1
    assert tested.objects.ignored.tolist() == [False, True]
    assert len(tested.packed) == 2


def test_empty_boxes_are_dropped_and_counted(bright):
    marked = {0: objects((4, 8, 20, 40), (50, 0, 60, 9), (3, 3, 3, 9))}
    seen = images(bright, marked)[0]
    assert (len(seen.objects), seen.dropped) == (1, 2)


def test_an_image_without_objects_is_seen(bright):
    seen = images(bright, {0: objects(), 1: objects((1, 1, 5, 5))})[0]
    targets = seen.targets(True)[1]
    assert (targets["boxes"].shape, targets["masks"].shape) == ((0, 4), (0, 40, 20))


def test_a_damaged_image_is_named_with_its_reason(bright):
    assert images(bright, {2: objects()})[0] == Unreadable("image2", "the file is empty")
