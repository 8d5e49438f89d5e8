import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ssl_kit import UsageError
from ssl_kit.core.discovery import domains
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.data.splits import split
from ssl_kit.evaluation import EvaluationData, paired_difference
from ssl_kit.evaluation.pretrained import from_init
from ssl_kit.plugins.evaluations.annotation_files import read_annotations
from ssl_kit.plugins.evaluations.average_precision import Marked
from ssl_kit.plugins.evaluations.detection import Detection, detection_result
from ssl_kit.plugins.evaluations.detector_training import (
    DetectionConfig,
    DetectorTraining,
    in_its_pixels,
    schedule,
)
from ssl_kit.plugins.evaluations.outlines import encode

IMAGES, SIZE = 12, 64


@pytest.fixture
def data(memory_dataset):
    """Noise with one or two bright squares each; the last quarter is the test part."""
    rng = np.random.default_rng(0)
    images = []
    for i in range(IMAGES):
        images.append(rng.integers(0, 60, (SIZE, SIZE, 3)).astype(np.uint8))
        for x, y, side in squares(i):
            images[-1][y : y + side, x : x + side] = 230
    parts = ["train"] * (IMAGES - 3) + ["test"] * 3
    dataset = memory_dataset(images, splits=parts)
    return EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)


def squares(i):
    return [(4, 4 + 2 * i, 20), (36, 30 - 2 * i, 24)][: 1 + i % 2]


@pytest.fixture
def config(tmp_path):
    """Options for a few steps."""
    marked, names = [], [f"image{i}" for i in range(IMAGES)]
    for i in range(IMAGES):
        for x, y, side in squares(i):
            corners = [[x, y, x + side, y, x + side, y + side, x, y + side]]
            marked.append({"image_id": i, "category_id": 1, "bbox": [x, y, side, side],
                           "segmentation": corners})  # fmt: skip
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    whole = {"images": images, "annotations": marked, "categories": [{"id": 1, "name": "square"}]}
    (tmp_path / "coco.json").write_text(json.dumps(whole))

    def make(masks=False, **options):
        if not masks:
            for one in marked:
                one.pop("segmentation", None)
            (tmp_path / "coco.json").write_text(json.dumps(whole))
        given = {"size": SIZE, "epochs": 1, "batch_size": 4} | options
        return DetectionConfig(annotations=str(tmp_path / "coco.json"), **given)

    return make


@pytest.fixture
def model(data):
    return from_init("scratch", "test_resnet", SIZE, data.dataset, data.splits.train)


def training(model, data, config):
    located = read_annotations(Path(config.annotations)).located(data.dataset.index)
    torch.manual_seed(0)
    return DetectorTraining(model, data, located, data.splits.train, config)


def test_training_lowers_the_loss(model, data, config):
    fit = training(model, data, config(epochs=3, lr=2e-3))
    losses = [fit.epoch() for _ in range(3)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("masks", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_detector_is_trained_and_tested(model, data, config, masks):
    before = copy.deepcopy(model.encoder.state_dict())
    found = Detection(config(masks)).evaluate(model, data)
    assert found.main == "AP"
    kinds = {"", "mask_"} if masks else {""}
    assert {f"{kind}{name}" for kind in kinds for name in ("AP", "AP50", "AP75")} <= set(
        found.metrics
    )
    assert all(0 <= estimate.value <= 1 for estimate in found.metrics.values())
    assert found.jackknife["AP"].values.shape == (1, 4)
    assert found.by_group.shape == (3,)
    assert [(row["class"], row["objects"]) for row in found.rows] == [("square", 5)]
    assert found.details["images"] == {"train": 9, "test": 3}
    assert all(torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())


@pytest.mark.slow
def test_a_longer_training_finds_the_squares(model, data, config):
    found = Detection(config(masks=True, epochs=60, lr=2e-3)).evaluate(model, data)
    assert found.metrics["AP50"].value > 0.5


@pytest.mark.parametrize("freeze", ["all", "none"])
def test_what_is_frozen_keeps_its_weights_and_statistics(model, data, config, freeze):
    fit = training(model, data, config(freeze=freeze))
    fit.epoch()
    after = fit.encoder.state_dict()
    changed = {k for k, v in model.encoder.state_dict().items() if not torch.equal(v, after[k])}
    assert changed == (set() if freeze == "all" else set(after))


def test_the_rate_rises_and_falls():
    rates = [schedule(step, 20) for step in range(21)]
    assert rates[:2] == pytest.approx([0.5, (1 + np.cos(np.pi / 20)) / 2])
    assert sorted(rates[1:], reverse=True) == rates[1:]
    assert rates[-1] == pytest.approx(0)
    assert schedule(0, 1) == 1


def test_without_a_declared_part_a_fifth_of_the_groups_is_tested(memory_dataset, data, config):
    images, groups = data.dataset.images, [f"g{i // 2}" for i in range(IMAGES)]
    dataset = memory_dataset(images, groups=groups)
    mine = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)
    tested = Detection(config()).tested(mine)
    assert len(tested) == 4
    rest = np.setdiff1d(np.arange(IMAGES), tested)
    assert not set(dataset.index.groups[tested]) & set(dataset.index.groups[rest])
    np.testing.assert_array_equal(Detection(config()).tested(data), data.splits.test)


def test_without_annotated_test_images_there_is_a_plain_error(memory_dataset, data, model, config):
    parts = ["train"] * IMAGES + ["test"]
    dataset = memory_dataset([*data.dataset.images, data.dataset.images[0]], splits=parts)
    mine = EvaluationData(dataset, split(dataset.index, 0.2), domains["natural"], workers=0)
    with pytest.raises(UsageError, match="there are 12 and 0"):
        Detection(config()).evaluate(model, mine)


def test_unreadable_images_are_left_out_and_said(data, model, config):
    data.dataset.images[0] = data.dataset.images[IMAGES - 1] = "the file is empty"
    found = Detection(config(batch_size=9)).evaluate(model, data)
    assert found.details["images"]["test"] == 2
    said = found.details["remarks"]
    assert said[0].startswith("2 images or their annotations cannot be read;")
    assert said[1].endswith("the file is empty")


def test_the_difference_of_two_detectors_is_paired_over_groups():
    """The second detector misses one object in each image that has two."""
    truth, ours, theirs = [], [], []
    for i in range(IMAGES):
        boxes = np.array([[x, y, x + side, y + side] for x, y, side in squares(i)], dtype=float)
        n = len(boxes)
        truth.append(Marked(boxes, np.zeros(n, int), [400.0] * n))
        ours.append(Marked(boxes, np.zeros(n, int), scores=[0.9] * n))
        theirs.append(Marked(boxes[:1], np.zeros(1, int), scores=[0.9]))
    first, second = (
        detection_result(("square",), truth, f, np.arange(IMAGES)) for f in (ours, theirs)
    )
    gain = paired_difference(first, second, "AP")
    found = 12 / 18  # of the objects, so that 67 of the 101 recalls are reached
    assert gain.value == pytest.approx(1 - np.floor(1 + 100 * found) / 101)
    assert 0 < gain.low < gain.value < gain.high
    assert paired_difference(first, first, "AP").high == 0
    np.testing.assert_allclose(first.by_group, 1)
    np.testing.assert_allclose(second.by_group[::2], 1)
    assert (second.by_group[1::2] < 0.6).all()


def test_its_example_can_be_read(data, tmp_path):
    options = DetectionConfig(**Detection.quick, **Detection.example(data, tmp_path))
    marked = read_annotations(Path(options.annotations)).objects
    assert marked["image0"].boxes.tolist() == [[0, 0, SIZE, SIZE]]


@pytest.mark.slow
def test_masks_are_found_in_the_pixels_of_the_image(data, model, config):
    """Detections at another size than the image's are brought back, boxes and masks alike."""
    fit = training(model, data, config(masks=True, size=32))
    truth, _, rows = fit.detect(data.splits.test)
    assert rows.tolist() == data.splits.test.tolist()
    said = []
    for one in fit._readable(next(iter(fit._load(data.splits.test, training=False)))):
        boxes = torch.from_numpy(one.objects.boxes * one.scale).float()
        masks = torch.zeros(len(boxes), 1, 32, 32)
        for n, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
            masks[n, 0, y1:y2, x1:x2] = 1
        labels = torch.ones(len(boxes), dtype=torch.long)
        answer = {
            "boxes": boxes,
            "labels": labels,
            "scores": torch.ones(len(boxes)),
            "masks": masks,
        }
        said.append(in_its_pixels(answer, one))
    found = detection_result(("square",), truth, said, np.arange(3), masks=True)
    assert found.metrics["AP"].value == pytest.approx(1)
    assert found.metrics["mask_AP"].value > 0.9


@pytest.mark.slow
def test_real_ships_with_masks_are_learned(real_data, tmp_path):
    """Trains on a few radar scenes, whose masks are packed by pycocotools, and tests on others."""
    folder = real_data / "hrsid_ships"
    images, marked = [], []
    for i, file in enumerate(sorted((folder / "masks").glob("*.png"))):
        mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 0
        images.append({"id": i, "file_name": f"{file.stem}.jpg", "height": 800, "width": 800})
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        for n, (x, y, w, h, area) in enumerate(stats[1:].tolist(), start=1):
            packed = encode(parts == n)
            packed["counts"] = packed["counts"].decode()
            one = {"image_id": i, "category_id": 1, "bbox": [x, y, w, h], "area": area}
            marked.append(one | {"segmentation": packed})
    whole = {"images": images, "annotations": marked, "categories": [{"id": 1, "name": "ship"}]}
    (tmp_path / "ships.json").write_text(json.dumps(whole))
    field = domains["natural"]
    dataset = open_dataset(field, DataConfig(path=str(folder / "images")))
    data = EvaluationData(dataset, split(dataset.index, 0), field, workers=0)
    mine = from_init("scratch", "test_resnet", 128, dataset, data.splits.train)
    options = DetectionConfig(annotations=str(tmp_path / "ships.json"), size=128, epochs=1)
    found = Detection(options).evaluate(mine, data)
    assert {"AP50", "mask_AP50"} <= set(found.metrics)
    assert sum(found.details["images"].values()) == 36
