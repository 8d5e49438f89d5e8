"""Assembles scenes: a file with all bands, or a file for each band."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np

from ssl_kit import DataError
from ssl_kit.data import most_frequent_kind

from . import clouds
from .bands import VOCABULARY, is_band_number, role
from .headers import Header
from .options import GeoTiffConfig
from .products import FileName, calibration, is_ancillary, parse, sensor_of

Calibration = tuple[tuple[float, float] | None, ...]
_PARTS = ("train", "val", "valid", "validation", "test")


@dataclass(frozen=True)
class Scene:
    """Source of one image or of its tiles.

    Attributes:
        key: Name in the index.
        files: Numbers of its files: one that holds all bands, or one for each.
        bands: 1-based number of each band in its file.
        names: Of the bands, "" where nothing is known.
        dtype: Of the pixels.
        header: Of its finest file.
        grid: Number of that file.
        calibration: Gain and offset of each band, None where they are not known.
        cloud: Number of the file and of the band that show clouds, and what kind of band it is.
    """

    key: str
    files: tuple[int, ...]
    bands: tuple[int, ...]
    names: tuple[str, ...]
    dtype: str
    header: Header
    grid: int
    calibration: Calibration
    cloud: tuple[int, int, str] | None

    @property
    def first(self) -> int:
        """Number of its first file by name, whose label, group and split are its own."""
        return min(self.files)

    @property
    def kind(self) -> str:
        """Number of bands, type and names, which the scenes of a dataset must share."""
        bands = f" ({', '.join(self.names)})" if len(self.files) > 1 else ""
        return f"{len(self.names)}-band {self.dtype}{bands}"


@dataclass(frozen=True)
class Fault:
    """An unreadable scene: its name in the index, the number of a file of it, and the reason."""

    key: str
    file: int
    reason: str


class Assembler:
    """Assembles files to scenes.

    A file of one band whose name ends in a band (`..._B04.tif`, `red.tif`) is that band of a
    scene, if the sensor is known, or the name is one of the vocabulary. The files of a scene have
    the same path but for the band and its resolution. Of a band in several resolutions the
    finest is used. All other files are scenes of their own.

    Args:
        headers: Of the files that can be read, by number.
        paths: Their paths.
        keys: Their paths relative to the data folder.
        options: Of the reader.
    """

    def __init__(
        self,
        headers: Mapping[int, Header],
        paths: Callable[[int], Path],
        keys: Callable[[int], str],
        options: GeoTiffConfig,
    ) -> None:
        self._headers, self._keys, self._options = headers, keys, options
        self._where = {file: paths(file).as_posix() for file in headers}
        self._kinds = {*clouds.KNOWN, *filter(None, [options.cloud_band.lower()])}
        self._masks: dict[str, tuple[int, int, str]] = {}

    def scenes(self) -> list[Scene]:
        """Returns the scenes, sorted by their names."""
        names = {file: parse(self._keys(file), self._options.cloud_band) for file in self._headers}
        masks = {f for f, name in names.items() if name.band.lower() in self._kinds}
        self._masks = {names[f].scene: (f, 1, names[f].band.lower()) for f in sorted(masks)}
        stacks = self._stacks({f: name for f, name in names.items() if f not in masks})
        used = {file for files in stacks.values() for file in files}
        scenes = [self._stack(key, files, names) for key, files in stacks.items()]
        for file in set(self._headers) - masks - used:
            if not (stacks and is_ancillary(self._keys(file))):
                scenes.append(self._whole(file))
        if not scenes:
            raise DataError("There are masks of clouds, but no file with bands beside them.")
        return sorted(scenes, key=lambda scene: scene.key)

    def _stacks(self, names: Mapping[int, FileName]) -> dict[str, list[int]]:
        """Returns the files that are bands, by the name of their scene."""
        grouped: dict[str, list[int]] = {}
        for file, name in names.items():
            alone = len(self._headers[file].bands) == 1
            if name.band and alone and not is_ancillary(self._keys(file)):
                grouped.setdefault(name.scene, []).append(file)
        stacks = {}
        for scene, files in grouped.items():
            sensor = self._sensor([names[f].band for f in files], self._where[files[0]])
            known = [f for f in files if role(names[f].band, sensor)]
            if known:
                stacks[scene] = known
        return stacks

    def _sensor(self, bands: list[str], where: str) -> str:
        if self._options.sensor:
            return self._options.sensor
        has_8a = any(is_band_number(band, "8a") for band in bands)  # only Sentinel-2 has it
        return "sentinel2" if has_8a else sensor_of(where)

    def _stack(self, key: str, files: list[int], names: Mapping[int, FileName]) -> Scene:
        sensor = self._sensor([names[f].band for f in files], self._where[files[0]])
        finest: dict[str, int] = {}
        for file in sorted(files, key=lambda f: (self._headers[f].pixel, f)):
            finest.setdefault(role(names[file].band, sensor), file)
        roles = sorted(finest, key=VOCABULARY.index)
        chosen = tuple(finest[name] for name in roles)
        grid = min(chosen, key=lambda f: (self._headers[f].pixel, f))
        return Scene(
            key=key or Path(self._where[files[0]]).parent.name,
            files=chosen,
            bands=tuple(self._headers[file].bands[0] for file in chosen),
            names=tuple(roles),
            dtype=np.result_type(*(self._headers[file].dtype for file in chosen)).name,
            header=self._headers[grid],
            grid=grid,
            calibration=tuple(self._calibration(f, 0, names[f].band) for f in chosen),
            cloud=self._masks.get(key),
        )

    def _whole(self, file: int) -> Scene:
        header, key = self._headers[file], self._keys(file)
        cloud = self._masks.get(key.rpartition(".")[0] or key)
        numbers = []
        for at, name in enumerate(header.names):
            if name.lower() in self._kinds and len(header.names) > 1:
                cloud = (file, header.bands[at], name.lower())
            else:
                numbers.append(at)
        return Scene(
            key=key,
            files=(file,),
            bands=tuple(header.bands[at] for at in numbers),
            names=tuple(header.names[at] for at in numbers),
            dtype=header.dtype,
            header=header,
            grid=file,
            calibration=tuple(self._calibration(file, at, header.names[at]) for at in numbers),
            cloud=cloud,
        )

    def _calibration(self, file: int, at: int, band: str) -> tuple[float, float] | None:
        header = self._headers[file]
        if self._options.reflectance is not None:
            return self._options.reflectance
        if header.calibration and header.dtype != "uint8":
            return header.calibration[at]
        return calibration(self._where[file], band, header.dtype)


def alike(scenes: list[Scene], root: Path) -> tuple[list[Scene], list[Fault]]:
    """Returns the scenes of the most frequent kind, and what is different in the others.

    Raises:
        DataError: If no kind has more than half of the scenes.
    """
    kind = most_frequent_kind([scene.kind for scene in scenes], "TIFF files", root)
    odd = {s.key: f"is {s.kind} where most files are {kind}" for s in scenes if s.kind != kind}
    kept = [scene for scene in scenes if scene.kind == kind]
    named = Counter(_lower(scene.names) for scene in kept if all(scene.names)).most_common(1)
    names = named[0][0] if named else ()
    for scene in kept:
        if all(scene.names) and _lower(scene.names) != names:
            bands, others = ", ".join(scene.names), ", ".join(names)
            odd[scene.key] = f"has the bands {bands} where others have {others}"
    faults = [Fault(s.key, s.first, odd[s.key]) for s in scenes if s.key in odd]
    return [scene for scene in kept if scene.key not in odd], faults


def _lower(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def labeled_by_scene(scenes: Sequence[Scene]) -> bool:
    """Tells whether the folders are those of scenes, not of classes."""
    folders = [scene.key.split("/") for scene in scenes]
    levels = zip(*(folder[:-1] for folder in folders), strict=False)
    outer = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))  # hold all scenes
    for scene, folder in zip(scenes, folders, strict=True):
        parts = folder[outer:]
        parts = parts[1:] if parts[0].lower() in _PARTS else parts
        if len(scene.files) > 1 and (len(parts) == 1 or sensor_of(f"{parts[0]}/")):
            return True
    return False
