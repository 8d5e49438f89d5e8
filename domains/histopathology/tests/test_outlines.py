"""Outlines of tissue as GeoJSON, and pictures of slides with their tiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ssl_kit import UsageError
from ssl_kit_histopathology.outlines import Frame, read_outlines, write_outlines
from ssl_kit_histopathology.slides import Slides, SlidesConfig
from ssl_kit_histopathology.tissue import Tissue

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]
FRAME = Frame((40, 60), (640, 960))  # 16 pixels of the slide are one of the picture


def opened(path: Path, **options: Any) -> Slides:
    return Slides.open(path, SlidesConfig(tile=64, **options))


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(*rings: list[list[float]], name: str = "", kind: str = "Polygon") -> dict[str, Any]:
    coordinates = [rings] if kind == "MultiPolygon" else rings
    properties = {"objectType": "annotation", "classification": {"name": name}} if name else {}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def mask_of(tmp_path: Path, content: Any, frame: Frame = FRAME) -> np.ndarray:
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    return read_outlines(tmp_path / "a.geojson", frame)


def expected(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon"])
@pytest.mark.parametrize("wrap", ["collection", "list", "feature", "geometry"])
def test_outlines_cover_exactly_their_pixels(tmp_path: Path, kind: str, wrap: str) -> None:
    one = feature(box(160, 320, 480, 480), kind=kind)
    content = {
        "collection": {"type": "FeatureCollection", "features": [one]},
        "list": [one],
        "feature": one,
        "geometry": one["geometry"],
    }[wrap]
    assert np.array_equal(mask_of(tmp_path, content), expected(20, 30, 10, 30))


def test_holes_and_ignored_classes_are_cut_out(tmp_path: Path) -> None:
    areas = [
        feature(box(160, 320, 320, 480), name="Ignore*"),
        feature(box(0, 0, 960, 640), box(480, 160, 640, 320), name="Tissue"),
    ]
    without = expected(20, 30, 10, 20) | expected(10, 20, 30, 40)
    assert np.array_equal(mask_of(tmp_path, areas), ~without)


def test_the_corner_of_the_scanned_area_is_the_origin(tmp_path: Path) -> None:
    frame = Frame((40, 60), (640, 960), origin=(160, 320))
    mask = mask_of(tmp_path, feature(box(0, 0, 320, 160)), frame)
    assert np.array_equal(mask, expected(20, 30, 10, 30))


def test_written_outlines_give_the_same_mask(tmp_path: Path) -> None:
    mask = cv2.GaussianBlur(np.random.default_rng(0).random((40, 60)), (0, 0), 3) > 0.5
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5))) > 0
    content = write_outlines(Tissue(mask, np.zeros_like(mask), 0), FRAME)
    (tmp_path / "a.geojson").write_bytes(content)
    assert np.array_equal(read_outlines(tmp_path / "a.geojson", FRAME), mask)
    first = json.loads(content)["features"][0]
    assert first["properties"]["objectType"] == "annotation"
    assert first["properties"]["classification"]["name"] == "Tissue"


@pytest.mark.parametrize(
    "content", ["", "[1, 2]", "{}", '{"type": "Point", "coordinates": [1, 2]}']
)
def test_what_holds_no_area_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(UsageError, match=r"a\.geojson"):
        read_outlines(tmp_path / "a.geojson", FRAME)


@pytest.mark.parametrize("name", ["a.geojson", "a.tif.geojson", "a.json"])
def test_outlines_replace_the_detector(
    write: Write, tissue: Make, tmp_path: Path, name: str
) -> None:
    path = write(tissue(256, 256), "in/a.tif")
    write(tissue(256, 256, 1), "in/b.tif")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(json.dumps([feature(box(64, 0, 192, 128))]))
    data = opened(path.parent, outlines=str(tmp_path / "out"))
    assert data.index.positions[:4].tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert len(data) == 4 + 16
    assert any("1 of 2 slides has no file of outlines" in remark for remark in data.index.remarks)


def test_outlines_beside_slides_are_mentioned(write: Write, tissue: Make) -> None:
    path = write(tissue(256, 256), "in/a.tif")
    path.with_suffix(".geojson").write_text(json.dumps([feature(box(64, 0, 192, 128))]))
    (remark,) = opened(path.parent).index.remarks
    assert "1 .geojson file is not read; --set data.options.outlines=" in remark


def test_outlines_that_are_not_there_are_refused(write: Write, tissue: Make) -> None:
    with pytest.raises(UsageError, match="do not exist"):
        opened(write(tissue(128, 128)), outlines="/nowhere")


def test_overviews_show_the_tiles_and_can_be_read_as_outlines(
    write: Write, tissue: Make, glass: Make, tmp_path: Path
) -> None:
    image = glass(256, 384)
    image[:128] = tissue(128, 384)
    path = write(image, "in/sub/a.tif")
    folder = path.parent.parent
    data = opened(folder, overviews=str(tmp_path / "out"))
    drawn = cv2.imread(str(tmp_path / "out/sub/a.tif.png"))[..., ::-1]
    assert np.array_equal(drawn, data.draw(0))
    slide, legend = drawn[:512], drawn[512:]
    green = (slide == (0, 130, 60)).all(2)
    assert green[:256].any()
    assert not green[257:].any()
    assert (legend == (0, 130, 60)).all(2).any()
    again = opened(folder, outlines=str(tmp_path / "out"))
    assert again.fingerprint() == data.fingerprint()
    assert sorted(file.name for file in (tmp_path / "out/sub").iterdir()) == [
        "a.tif.geojson",
        "a.tif.png",
    ]
