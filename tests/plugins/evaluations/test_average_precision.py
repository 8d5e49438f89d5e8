import contextlib
import io

import numpy as np
import pytest

from ssl_kit.plugins.evaluations.average_precision import AveragePrecision, Marked, match
from ssl_kit.plugins.evaluations.outlines import encode

METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
CLASSES, IMAGES = 3, 12


def draw(seed=0):
    """Objects, and detections that are near them, doubled or wrong, for 12 images."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(IMAGES):
        n = int(rng.integers(0, 8))
        corner, sides = rng.uniform(0, 200, (n, 2)), rng.uniform(8, 150, (n, 2))
        boxes, labels = np.hstack([corner, corner + sides]), rng.integers(CLASSES, size=n)
        areas = np.prod(sides, axis=1).tolist()
        truth.append(Marked(boxes, labels, areas, ignored=(rng.random(n) < 0.2).tolist()))
        taken = np.repeat(np.arange(n), rng.integers(0, 3, n))
        moved = boxes[taken] + np.tile(sides[taken], 2) * rng.normal(0, 0.1, (len(taken), 4))
        wrong = np.tile(rng.uniform(0, 100, (2, 2)), 2) + np.array([0, 0, 40, 40])
        said = np.concatenate([labels[taken], rng.integers(CLASSES, size=2)])
        scores = rng.permutation(len(said) * IMAGES)[: len(said)] + rng.random()
        found.append(Marked(np.vstack([moved, wrong]), said, scores=scores.tolist()))
    return truth, found


def trusted(judge):
    """The figures of pycocotools itself."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge.accumulate()
        judge.summarize()
    return judge.stats[: len(METRICS)]


def ours(judge, weights, groups=None):
    groups = np.arange(len(judge.params.imgIds)) if groups is None else groups
    found = AveragePrecision(judge, groups)(np.asarray(weights, np.float32))
    return np.array([found[name] for name in METRICS])


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_pycocotools(seed):
    judge = match(*draw(seed), CLASSES)
    np.testing.assert_allclose(ours(judge, np.ones((IMAGES, 1)))[:, 0], trusted(judge), atol=1e-12)


def test_drawing_images_equals_having_them_several_times():
    truth, found = draw()
    drawn = np.random.default_rng(1).integers(IMAGES, size=(IMAGES, 4))
    weights = np.stack([np.bincount(d, minlength=IMAGES) for d in drawn.T], axis=1)
    got = ours(match(truth, found, CLASSES), weights)
    for column, chosen in enumerate(drawn.T):
        chosen = np.sort(chosen)
        again = match([truth[i] for i in chosen], [found[i] for i in chosen], CLASSES)
        expected = trusted(again)
        expected[expected < 0] = np.nan  # no object of that size
        np.testing.assert_allclose(got[:, column], expected, atol=1e-12)


def test_images_of_a_group_are_drawn_together():
    judge, groups = match(*draw(), CLASSES), np.arange(IMAGES) // 3
    weights = np.array([[1, 0], [2, 1], [0, 1], [1, 2]])
    got = ours(judge, weights, groups)
    np.testing.assert_array_equal(got, ours(judge, weights[groups]))


def slow_ap50(truth, found, k):
    """AP at an overlap of one half, of a class without ignored objects, in plain float64."""
    said = [
        (f.scores[n], i, f.boxes[n])
        for i, f in enumerate(found) for n in np.flatnonzero(f.labels == k)
    ]  # fmt: skip
    there = {i: [list(b) for b in t.boxes[t.labels == k]] for i, t in enumerate(truth)}
    total = sum(map(len, there.values()))
    right, curve = 0, []
    for rank, (_, i, box) in enumerate(sorted(said, key=lambda one: -one[0]), start=1):
        overlaps = []
        for other in there[i]:
            inner = np.prod(np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]),
                                    0, None))  # fmt: skip
            areas = np.prod(box[2:] - box[:2]) + np.prod(np.subtract(other[2:], other[:2]))
            overlaps.append(inner / (areas - inner))
        if overlaps and max(overlaps) >= 0.5:
            there[i].pop(int(np.argmax(overlaps)))
            right += 1
        curve.append((right / total, right / rank))
    best = [max((p for r, p in curve if r >= level), default=0) for level in np.linspace(0, 1, 101)]
    return np.mean(best)


@pytest.mark.parametrize("seed", range(3))
def test_ap50_is_that_of_a_slow_restatement(seed):
    truth, found = draw(seed)
    truth = [Marked(t.boxes, t.labels, t.areas) for t in truth]
    rows = AveragePrecision(match(truth, found, CLASSES), np.arange(IMAGES)).by_class()
    expected = [slow_ap50(truth, found, k) for k in range(CLASSES)]
    np.testing.assert_allclose([row["AP50"] for row in rows], expected, atol=1e-12)


def test_a_case_by_hand():
    """Right, wrong, right of two objects: precision 1 up to a recall of 1/2, then 2/3."""
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], dtype=float)
    wrong = np.array([[50, 50, 60, 60]], dtype=float)
    truth = [Marked(boxes, np.zeros(2, int), [100.0, 100])]
    found = [Marked(np.vstack([boxes[:1], wrong, boxes[1:]]), np.zeros(3, int), scores=[3, 2, 1])]
    got = ours(match(truth, found, 1), np.ones((1, 1)))[:, 0]
    expected = (51 + 50 * 2 / 3) / 101
    np.testing.assert_allclose(got[:4], [expected] * 4)
    assert np.isnan(got[4:]).all()


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_what_is_perfect_is_one(kind):
    truth, found = [], []
    for one in draw()[0]:
        masks = []
        for x1, y1, x2, y2 in one.boxes.astype(int):
            masks.append(np.zeros((400, 400), np.uint8))
            masks[-1][y1:y2, x1:x2] = 1
        packed, scores = [encode(mask) for mask in masks], [0.5] * len(masks)
        truth.append(Marked(one.boxes, one.labels, one.areas, packed))
        found.append(Marked(one.boxes, one.labels, masks=packed, scores=scores))
    got = ours(match(truth, found, CLASSES, kind), np.ones((IMAGES, 1)))
    np.testing.assert_allclose(got, 1)


def test_finding_nothing_is_zero():
    truth = draw()[0]
    nothing = [Marked(np.zeros((0, 4)), np.zeros(0, int))] * IMAGES
    judge = match(truth, nothing, CLASSES)
    assert (ours(judge, np.ones((IMAGES, 2)))[0] == 0).all()


def test_a_group_has_the_precision_of_its_images_alone():
    truth, found = draw()
    scores = AveragePrecision(match(truth, found, CLASSES), np.arange(IMAGES)).by_group()
    for i in range(IMAGES):
        alone = trusted(match(truth[i : i + 1], found[i : i + 1], CLASSES))[0]
        assert scores[i] == pytest.approx(max(alone, 0))
