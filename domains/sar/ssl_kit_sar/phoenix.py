"""MSTAR target chips: an ASCII header called Phoenix, then big-endian amplitudes and phases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_kit import DataError
from ssl_kit.data import FileDataset

from .images import SarImages

MAGIC = b"[PhoenixHeaderVer"
_HEADER = 65536  # bytes that a header has at most; those of MSTAR have 1,600 to 2,100
_SIDE = 4096  # pixels that a chip has at most
_LOOKED_AT = 1000  # files of a folder that decide whether it is one of chips


class Phoenix(SarImages, FileDataset):
    """MSTAR chips: complex, with target type and azimuth from the header.

    The label is the target type, unless labels.csv gives another. The split is that of a folder
    "train" or "test", or of labels.csv. The position is (cos, sin) of the target's azimuth, which
    the objective `azimuth` uses. Each chip is a group of its own. Declare the split by depression
    angle, as is usual, because chips of neighboring azimuths look alike.
    """

    suffixes = tuple(f".{number:03d}" for number in range(1000))  # chips end in a serial number

    def prepare(self) -> None:
        """Reads the header of each chip."""
        super().prepare()
        n = len(self.files)
        headers = [self._header_or_none(file) for file in range(n)]
        if not any(headers):
            raise DataError(f"None of the files in '{self.path}' is a Phoenix chip.")
        types = [(header or {}).get("TargetType", "") for header in headers]
        self.index = self.files.expand(
            np.arange(n),
            positions=[_direction(header) for header in headers],
            labels=None if self.declares_labels else types,
            origins={} if self.declares_labels else {"label": "TargetType in the headers"},
        )
        self.name_channels(("hh",), has_phase=True)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """Tells whether the path is a chip, or one of the first files of a folder is."""
        if not path.is_dir():
            return _is_chip(path)
        return any(_is_chip(file) for file in islice(path.rglob("*.[0-9][0-9][0-9]"), _LOOKED_AT))

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes four small chips."""
        rng = np.random.default_rng(0)
        for number, kind in enumerate(("bmp2_tank", "t72_tank", "bmp2_tank", "t72_tank")):
            chip = rng.standard_normal((24, 20)) + 1j * rng.standard_normal((24, 20))
            (folder / f"HB{number:05d}.{number:03d}").write_bytes(encode(chip, kind, 90.0 * number))
        return folder

    def _header_or_none(self, file: int) -> dict[str, str] | None:
        try:
            return read_header(self.path_of(file))
        except DataError:
            return None  # reading it gives the reason

    def signal(self, i: int) -> NDArray[Any]:
        """Returns chip i, (H, W, 1), complex; range along the rows, as the files have it."""
        return read_chip(self.path_of(i))[..., None]


def encode(chip: NDArray[np.complexfloating], kind: str, azimuth: float, native: int = 0) -> bytes:
    """Returns the contents of a file that holds a chip, with what this reader needs of a header.

    Args:
        chip: (H, W).
        kind: Target type.
        azimuth: Of the target, in degrees.
        native: Bytes of a native header, left empty.
    """
    rows, columns = chip.shape
    lines = [
        "[PhoenixHeaderVer01.04]",
        "PhoenixHeaderLength= {length:05d}",
        f"native_header_length= {native}",
        f"NumberOfColumns= {columns}",
        f"NumberOfRows= {rows}",
        f"TargetType= {kind}",
        f"TargetAz= {azimuth:.6f}",
        "[EndofPhoenixHeader]",
        "",
    ]
    text = "\n".join(lines)
    header = text.format(length=len(text.format(length=0))).encode()
    return header + bytes(native) + np.stack([np.abs(chip), np.angle(chip)]).astype(">f4").tobytes()


def read_header(path: Path) -> dict[str, str]:
    """Reads the lines "name= value" of a Phoenix header.

    Raises:
        DataError: If the file has none.
    """
    text = _bytes(path, 0, _HEADER).partition(b"[EndofPhoenixHeader]")
    if not text[0].startswith(MAGIC):
        raise DataError("has no Phoenix header" if text[0] else "the file is empty")
    if not text[1]:
        raise DataError("its Phoenix header has no end")
    lines = text[0].decode("ascii", "replace").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def read_chip(path: Path) -> NDArray[np.complex64]:
    """Reads amplitudes and phases, (H, W) complex.

    They are the last 8 bytes a pixel of the file: some files have a native header in between.

    Raises:
        DataError: If header and file do not fit together.
    """
    header = read_header(path)
    rows, columns = (_number(header, f"NumberOf{name}") for name in ("Rows", "Columns"))
    if not (0 < rows <= _SIDE and 0 < columns <= _SIDE):
        raise DataError(f"declares {rows:g} x {columns:g} pixels, which is no target chip")
    shape = 2, int(rows), int(columns)
    length = 4 * int(np.prod(shape))
    start = path.stat().st_size - length
    if start < _number(header, "PhoenixHeaderLength"):
        raise DataError(f"is cut off: {rows:g} x {columns:g} pixels need {length} bytes")
    data = np.frombuffer(_bytes(path, start, length), ">f4").reshape(shape)
    amplitude, phase = data.astype(np.float32)
    chip: NDArray[np.complex64] = (amplitude * np.exp(1j * phase)).astype(np.complex64)
    return chip


def _bytes(path: Path, start: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)
    except OSError as error:
        raise DataError(f"cannot be opened: {error.strerror}") from error


def _is_chip(path: Path) -> bool:
    try:
        return os.path.isfile(path) and _bytes(path, 0, len(MAGIC)) == MAGIC
    except DataError:
        return False


def _number(header: Mapping[str, str], name: str) -> float:
    try:
        return float(header[name])
    except (KeyError, ValueError) as error:
        raise DataError(f"its Phoenix header has no number {name}") from error


def _direction(header: Mapping[str, str] | None) -> tuple[float, float]:
    """Returns (cos, sin) of the target's azimuth, (0, 0) if it is not known."""
    try:
        azimuth = np.radians(_number(header or {}, "TargetAz"))
    except DataError:
        return 0.0, 0.0
    return float(np.cos(azimuth)), float(np.sin(azimuth))
