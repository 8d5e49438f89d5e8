"""Outlines of tissue as GeoJSON, in the format of QuPath.

Coordinates are (x, y) in pixels of the finest level. QuPath counts from the corner of the scanned
area where a slide declares one, as MIRAX slides do, and OpenSlide from the corner of the level.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ssl_kit import UsageError

from .tissue import Tissue

Mask = NDArray[np.bool_]
_SMALLEST = 16  # pixels of the picture; smaller pieces have no outline
_IGNORED = {"ignore", "pen", "marker", "artifact", "artefact", "background", "glass", "fold"}
_COLORS = {"Tissue": (60, 160, 60), "Pen*": (40, 60, 200)}


@dataclass(frozen=True)
class Frame:
    """How coordinates of outlines become pixels of the picture of a slide.

    Attributes:
        shape: (h, w) of the picture.
        size: (H, W) of the slide in pixels of the finest level.
        origin: (x, y) of the corner of the scanned area, in pixels of the finest level.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    origin: tuple[float, float] = (0.0, 0.0)

    @property
    def _scale(self) -> NDArray[np.float64]:
        return np.array([self.shape[1] / self.size[1], self.shape[0] / self.size[0]])

    def to_picture(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns positions (n, 2) in the picture, the center of the first pixel being (0, 0)."""
        return (points + self.origin) * self._scale - 0.5

    def to_slide(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns coordinates (n, 2) of outlines."""
        return (points + 0.5) / self._scale - self.origin


def outlines_of(outlines: str, key: str) -> Path | None:
    """Returns the GeoJSON file of a slide, None if there is none.

    Args:
        outlines: A file, or a folder with files such as slide.geojson, slide.svs.geojson or
            slide.json, in the same folders as the slides or without folders.
        key: Path of the slide in the folder of the data.

    Raises:
        UsageError: If there is no such file or folder.
    """
    root, slide = Path(outlines), Path(key)
    if root.is_file():
        return root
    if not root.is_dir():
        raise UsageError(
            f"The outlines '{outlines}' do not exist. Give data.options.outlines a GeoJSON file or "
            "a folder."
        )
    stems = (slide, slide.with_suffix(""), Path(slide.name), Path(slide.stem))
    names = [root / f"{stem}{ending}" for stem in stems for ending in (".geojson", ".json")]
    return next((name for name in names if name.is_file()), None)


def read_outlines(file: Path, frame: Frame) -> Mask:
    """Draws the outlines of a GeoJSON file as a mask (h, w).

    All areas are tissue, except those of a class whose name ends with an asterisk (QuPath ignores
    these) or is Ignore, Pen, Marker, Artifact, Background, Glass or Fold; these are cut out.

    Raises:
        UsageError: If the file is no GeoJSON with areas.
    """
    try:
        features = list(_features(json.loads(file.read_text(encoding="utf-8-sig"))))
        areas = [(name, _polygons(geometry)) for name, geometry in features]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"Cannot read the outlines '{file}': they are no GeoJSON as QuPath exports it "
            f"({type(error).__name__})."
        ) from error
    if not any(polygons for _, polygons in areas):
        raise UsageError(f"The outlines '{file}' hold no polygon. Export annotations with an area.")
    mask = np.zeros(frame.shape, np.uint8)
    for ignored in (False, True):
        for name, polygons in areas:
            if _is_ignored(name) == ignored:
                for rings in polygons:
                    _fill(mask, [frame.to_picture(ring) for ring in rings], int(not ignored))
    return mask > 0


def _features(content: Any) -> Iterator[tuple[str, Any]]:
    """Yields class and geometry of each feature of a collection, a list, or a single feature."""
    if isinstance(content, list):
        for each in content:
            yield from _features(each)
    elif "features" in content:
        yield from _features(content["features"])
    elif content.get("type") == "Feature":
        properties = content.get("properties") or {}
        name = (properties.get("classification") or {}).get("name") or properties.get("name") or ""
        yield str(name), content["geometry"]
    else:
        yield "", content


def _polygons(geometry: Any) -> list[list[NDArray[np.float64]]]:
    """Returns the polygons of a geometry: rings (n, 2), the outer one first."""
    kind = (geometry or {}).get("type")
    if kind == "GeometryCollection":
        return [each for part in geometry["geometries"] for each in _polygons(part)]
    if kind not in {"Polygon", "MultiPolygon"}:
        return []
    coordinates = geometry["coordinates"]
    polygons = [coordinates] if kind == "Polygon" else coordinates
    return [
        [np.array([point[:2] for point in ring], np.float64).reshape(-1, 2) for ring in polygon]
        for polygon in polygons
    ]


def _is_ignored(name: str) -> bool:
    return name.endswith("*") or name.strip().lower().rstrip("s") in _IGNORED


def _fill(mask: NDArray[np.uint8], rings: Sequence[NDArray[np.float64]], value: int) -> None:
    """Sets the pixels whose centers are inside of a polygon, by the even-odd rule."""
    x, y = np.concatenate(rings).T
    next_x, next_y = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]).T
    first, last = max(0, math.ceil(y.min())), min(len(mask) - 1, math.floor(y.max()))
    for row in range(first, last + 1):
        cut = (y <= row) != (next_y <= row)
        along = (row - y[cut]) / (next_y[cut] - y[cut])
        crossings = np.sort(x[cut] + along * (next_x[cut] - x[cut]))
        bounds = np.ceil(crossings).clip(0, mask.shape[1]).astype(int).tolist()
        for left, right in zip(bounds[::2], bounds[1::2], strict=True):
            mask[row, left:right] = value


def write_outlines(tissue: Tissue, frame: Frame) -> bytes:
    """Returns a GeoJSON that QuPath opens: the pieces of tissue, and pen marks as "Pen*"."""
    features = []
    for name, mask in (("Tissue", tissue.mask), ("Pen*", tissue.pen)):
        for rings in _trace(mask):
            coordinates = [frame.to_slide(ring).round(1).tolist() for ring in rings]
            kind = {"name": name, "color": list(_COLORS[name])}
            features.append(
                {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": coordinates},
                    "properties": {"objectType": "annotation", "classification": kind},
                }
            )
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _trace(mask: Mask) -> Iterator[list[NDArray[np.float64]]]:
    """Yields the rings of each piece, closed, the outer one first, in pixels of the picture.

    OpenCV's contours run through the centers of pixels. They are traced at twice the size, so that
    the centers of the picture's pixels are clearly inside or outside.
    """
    double = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for number, contour in enumerate(contours):
        _, _, hole, parent = hierarchy[0][number]
        if parent >= 0 or len(contour) < 3 or cv2.contourArea(contour) < 4 * _SMALLEST:
            continue
        rings = [_closed(contour)]
        while hole >= 0:
            rings += [_closed(contours[hole])] if len(contours[hole]) > 2 else []
            hole = hierarchy[0][hole][0]  # the next hole of the same piece
        yield rings


def _closed(contour: NDArray[Any]) -> NDArray[np.float64]:
    ring = (contour[:, 0] - 0.5) / 2
    return np.concatenate([ring, ring[:1]])
