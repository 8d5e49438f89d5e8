import json

import numpy as np
import pytest

from ssl_kit import DataError, Index, UsageError
from ssl_kit.plugins.evaluations.annotation_files import read_annotations

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><part><name>tail</name><bndbox>"
    "<xmin>1</xmin></bndbox></part><bndbox><xmin>{x}</xmin><ymin>2</ymin><xmax>9</xmax>"
    "<ymax>8</ymax></bndbox></object>"
)


def voc(folder, text, name="a.xml"):
    size = "<size><width>20</width><height>10</height></size>"
    (folder / name).write_text(f"<annotation>{size}{text}</annotation>")
    return folder


def coco(folder, **changes):
    square = [[1, 1, 4, 1, 4, 4, 1, 4]]
    objects = [
        {"image_id": 7, "category_id": 9, "bbox": [1, 1, 3, 3], "segmentation": square, "area": 9},
        {"image_id": 7, "category_id": 4, "bbox": [0, 0, 2, 5], "iscrowd": 1,
         "segmentation": {"size": [10, 20], "counts": [10, 190]}},
    ]  # fmt: skip
    images = [
        {"id": 7, "file_name": "a.png", "height": 10, "width": 20},
        {"id": 8, "file_name": "b.png"},
    ]
    names = [{"id": 9, "name": "nine"}, {"id": 4, "name": "four"}]
    whole = {"images": images, "annotations": objects, "categories": names, "info": {}} | changes
    file = folder / "coco.json"
    file.write_text(json.dumps(whole))
    return file


def test_coco_is_read(tmp_path):
    found = read_annotations(coco(tmp_path))
    assert found.classes == ("four", "nine")
    assert list(found.objects) == ["a.png", "b.png"]
    marked = found.objects["a.png"]
    assert marked.boxes.tolist() == [[1, 1, 4, 4], [0, 0, 2, 5]]
    assert marked.labels.tolist() == [1, 0]
    assert marked.ignored.tolist() == [False, True]
    assert marked.areas.tolist() == [9, 10]
    assert marked.size == (10, 20)
    assert len(found.objects["b.png"]) == 0


def test_masks_are_there_if_all_that_is_learned_has_outlines(tmp_path):
    index = Index.build(["a.png"])
    assert read_annotations(coco(tmp_path)).located(index).have_masks
    box = {"image_id": 7, "category_id": 9, "bbox": [1, 1, 3, 3], "segmentation": []}
    assert not read_annotations(coco(tmp_path, annotations=[box])).located(index).have_masks


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": 5}, "images: Input should be"),
        ({"categories": [{"id": 9}]}, "categories.0.name: Field required"),
        ({"annotations": [{"image_id": 7, "category_id": 9}]}, "annotations.0.bbox"),
        ({"annotations": [{"image_id": 7, "category_id": 9, "bbox": [0, 0, float("nan"), 1]}]},
         "annotations.0.bbox.2"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "category 1"),
        ({"annotations": [{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1]}]}, "image 1"),
        ({"annotations": []}, "annotates no object"),
        ({"images": [{"id": i, "file_name": "a.png"} for i in (7, 8)]}, "file_name twice"),
    ],
)  # fmt: skip
def test_damaged_json_is_a_plain_error(tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        read_annotations(coco(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 10**5, b'{"images":'])
def test_what_is_no_json_is_a_plain_error(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json' is no COCO JSON file"):
        read_annotations(tmp_path / "a.json")


def test_voc_is_read(tmp_path):
    texts = OBJECT.format(name="dog", difficult=0, x=1), OBJECT.format(name="cat", difficult=1, x=3)
    found = read_annotations(voc(tmp_path, "".join(texts)))
    assert found.classes == ("cat", "dog")
    marked = found.objects["a"]
    assert marked.boxes.tolist() == [[0, 1, 9, 8], [2, 1, 9, 8]]
    assert marked.labels.tolist() == [1, 0]
    assert marked.ignored.tolist() == [False, True]
    assert marked.size == (10, 20)


BOMB = '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>'
OTHER_FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB, "document type"),
        (OTHER_FILE, "document type"),
        ("<annotation>&b;</annotation>", "undefined entity"),
        ("", "no element"),
        ("<annotation>", "no element"),
        ("<annotation><object></object></annotation>", "without a valid 'name'"),
        (f"<annotation>{OBJECT.format(name='a', difficult=0, x='one')}</annotation>", "xmin"),
        (f"<annotation>{OBJECT.format(name='a', difficult=0, x='nan')}</annotation>", "xmin"),
        ("<a>" * 10**5 + "</a>" * 10**5, "annotates no object"),
        ('<?xml version="1.0" encoding="none"?><a/>', "unknown encoding"),
    ],
)
def test_damaged_or_hostile_xml_is_a_plain_error(tmp_path, content, said):
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(DataError, match=said):
        read_annotations(tmp_path)


def test_no_annotations_are_a_plain_error(tmp_path):
    with pytest.raises(UsageError, match="do not exist"):
        read_annotations(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"no \.xml files"):
        read_annotations(tmp_path)


def test_boxes_are_cut_at_the_image_and_dropped_if_nothing_is_left(tmp_path):
    boxes = [[-5, -5, 10, 10], [15, 5, 50, 50], [30, 2, 5, 5], [3, 3, 0, 5], [4, 4, -2, 5]]
    objects = [{"image_id": 7, "category_id": 9, "bbox": box} for box in boxes]
    marked = read_annotations(coco(tmp_path, annotations=objects)).objects["a.png"]
    assert marked.within(10, 20).boxes.tolist() == [[0, 0, 5, 5], [15, 5, 20, 10]]


def test_an_image_of_another_size_is_a_plain_error(tmp_path):
    marked = read_annotations(coco(tmp_path)).objects["a.png"]
    with pytest.raises(DataError, match=r"\(10, 20\) pixels, it has \(20, 10\)"):
        marked.within(20, 10)


def test_images_are_found_by_the_end_of_their_key_or_their_stem(tmp_path):
    found = read_annotations(coco(tmp_path))
    located = found.located(Index.build(["x/aa.png", "x/a.png", "y/a.jpg", "b.tif"]))
    assert {i: len(objects) for i, objects in located.objects.items()} == {1: 2, 3: 0}
    assert located.unmatched == 0


def test_images_that_are_not_there_are_a_plain_error(tmp_path):
    with pytest.raises(DataError, match=r"2 images \(the first: 'a.png'\)"):
        read_annotations(coco(tmp_path)).located(Index.build(["c.png"]))


def test_real_blood_smears_are_read(real_data):
    found = read_annotations(real_data / "bccd" / "Annotations")
    assert found.classes == ("Platelets", "RBC", "WBC")
    assert len(found.objects) == 364
    counts = np.bincount(np.concatenate([o.labels for o in found.objects.values()]))
    assert counts.tolist() == [361, 4155, 372]
    assert found.objects["BloodImage_00000.jpg"].boxes[0].tolist() == [259, 176, 491, 376]
    kept = sum(len(objects.within(480, 640)) for objects in found.objects.values())
    assert sum(counts) - kept <= 2
