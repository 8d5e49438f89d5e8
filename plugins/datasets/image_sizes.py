"""Finds by its header whether an image fits into memory, and how much a JPEG is to be reduced."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ... import DataError
from ...data import refuse_large
from .tiff_pages import storage_of

END = 0xD9  # last marker of a JPEG
PILLOW_ERRORS = (OSError, ValueError, SyntaxError, RuntimeError, Pillow.DecompressionBombError)
# A marker in the pixels of a JPEG: no stuffed zero, no restart marker, no fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_SCAN = 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of segments with the size
_SEQUENTIAL = (0xC0, 0xC1)  # of these, those that are decoded block by block


def reduction(data: NDArray[np.uint8], flag: int) -> int:
    """Returns the factor by which the sides of an image are reduced so that it fits into memory.

    It is 1, or for a large baseline JPEG 2, 4 or 8.

    Args:
        data: (n,) bytes of the file.
        flag: Of OpenCV, as for `decode`.

    Raises:
        DataError: If the image does not fit into memory, as its header says.
    """
    kind = flag & ~cv2.IMREAD_ANYDEPTH if flag > 0 else flag
    channels = {cv2.IMREAD_UNCHANGED: None, cv2.IMREAD_GRAYSCALE: 1}.get(kind, 3)
    head = data[:34].tobytes()
    if head[:2] == b"\xff\xd8":
        return _jpeg_reduction(data.tobytes(), channels)
    if head[:4] == b"\x89PNG":
        width, height, depth, color = struct.unpack(">IIBB", head[16:26])
        refuse_large((height, width, channels or (3 if color & 2 else 1)), 1 + (depth > 8))
    elif head[:2] in (b"II", b"MM"):
        tiff = storage_of(data)
        if tiff is not None:
            channels = max(channels or 1, min(tiff.channels, 4))  # it is decoded as it is stored
            refuse_large((*tiff.size, channels), -(-tiff.bits // 8))
    else:
        _refuse_large_by_pillow(data, channels or 3)
    return 1


def is_reduced(data: NDArray[np.uint8], flag: int) -> bool:
    """Tells whether an image is reduced so that it fits into memory; see `reduction`."""
    try:
        return reduction(data, flag) > 1
    except DataError:
        return False


def _jpeg_reduction(file: bytes, channels: int | None) -> int:
    for marker, at in jpeg_markers(file):
        if marker in _FRAMES:
            height, width, samples = struct.unpack(">HHB", file[at + 5 : at + 10])
            for factor in (1, 2, 4) if marker in _SEQUENTIAL else ():
                with suppress(DataError):
                    refuse_large((height // factor, width // factor, channels or samples))
                    return factor
            if marker in _SEQUENTIAL:
                return 8  # no side is longer than 65,535 pixels
            refuse_large((height, width, channels or samples))
    return 1


def _refuse_large_by_pillow(data: NDArray[np.uint8], channels: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(data.tobytes())) as picture:
                width, height = picture.size
                refuse_large((height, width, channels), 2 if picture.mode[:3] == "I;1" else 1)
    except Pillow.DecompressionBombError as error:
        raise DataError("is too large for the memory; cut it into tiles or reduce it") from error
    except PILLOW_ERRORS:
        return  # decoding gives the reason


def jpeg_markers(file: bytes) -> Iterator[tuple[int, int]]:
    """Yields each marker of a JPEG and where it is; those of a thumbnail are inside a segment."""
    at = 2
    while True:
        at = file.find(b"\xff", at)
        if at < 0 or at + 1 >= len(file):
            return
        marker = file[at + 1]
        yield marker, at
        if marker in (0x00, 0xFF):
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker == _SCAN:
            at += 2 + struct.unpack(">H", file[at + 2 : at + 4])[0]
            following = _MARKER.search(file, at)
            at = following.start() if following else len(file)
        else:
            at += 2 + struct.unpack(">H", file[at + 2 : at + 4])[0]
