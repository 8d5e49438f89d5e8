"""Decodes image files: OpenCV, and Pillow for what OpenCV cannot; checks that a file is whole."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError, features

from ... import DataError, Image
from ...data import refuse_large
from .tiff_pages import shape_of

Bytes = NDArray[np.uint8]

_UNCHANGED, _GRAY = cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE
_GRAY_MODES = ("1", "L", "LA", "La", "I", "F")  # of Pillow; I;16 and its kin begin with I
# A marker in the pixels of a JPEG: no stuffed zero, no restart marker, no fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_PNM = re.compile(rb"P[2356](?:(?:\s|#[^\n]*\n)+\d+){2}(?:\s|#[^\n]*\n)+(\d+)")
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers of a JPEG without a length
_SCAN, _END = 0xDA, 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of segments with the size
_SEQUENTIAL = (0xC0, 0xC1)  # of these, those that are decoded block by block
_REDUCED = {
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, RuntimeError, Pillow.DecompressionBombError)

cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # what fails becomes a DataError, and is no news on the terminal


def decode(data: Bytes, flag: int) -> Image:
    """Decodes an image as EXIF turns it.

    Args:
        data: (n,) bytes of the file.
        flag: Of OpenCV: gray, RGB, or unchanged, which is for looking at the number of channels.

    Returns:
        (H, W) or (H, W, C).

    Raises:
        DataError: If the file is cut off, no image, or too large for the memory.
    """
    head = data[:16].tobytes()
    if not head:
        raise DataError("the file is empty")
    if not _is_whole(head, data):
        raise DataError("the file is cut off")
    factor = reduction(data, flag)
    if factor > 1:
        flag = (cv2.IMREAD_ANYCOLOR if flag == _UNCHANGED else flag) | _REDUCED[factor]
    if head[:4] == b"GIF8" or head[4:8] == b"ftyp":  # OpenCV: not in all versions, or 10 bits
        return _by_pillow(data, flag)
    try:
        image = cv2.imdecode(data, flag)
    except cv2.error:
        image = None
    if image is None:
        return _by_pillow(data, flag)
    return _to_full_range(image, data) if head[:2] in (b"P2", b"P3", b"P5", b"P6") else image


def reduction(data: Bytes, flag: int) -> int:
    """Returns the factor by which the sides of an image are reduced so that it fits into memory.

    It is 1, or for a large baseline JPEG 2, 4 or 8.

    Args:
        data: (n,) bytes of the file.
        flag: Of OpenCV, as for `decode`.

    Raises:
        DataError: If the image does not fit into memory, as its header says.
    """
    channels = {_UNCHANGED: None, _GRAY: 1}.get(flag & ~cv2.IMREAD_ANYDEPTH if flag > 0 else flag, 3)
    head = data[:34].tobytes()
    if head[:2] == b"\xff\xd8":
        return _jpeg_reduction(data.tobytes(), channels)
    if head[:4] == b"\x89PNG":
        width, height, depth, color = struct.unpack(">IIBB", head[16:26])
        refuse_large((height, width, channels or (3 if color & 2 else 1)), 1 + (depth > 8))
    elif head[:2] in (b"II", b"MM"):
        (height, width, samples), itemsize = shape_of(data) or ((0, 0, 0), 0)
        refuse_large((height, width, channels or samples), itemsize)
    else:
        _refuse_large_by_pillow(data, channels or 3)
    return 1


def _jpeg_reduction(file: bytes, channels: int | None) -> int:
    for marker, at in _markers(file):
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


def _refuse_large_by_pillow(data: Bytes, channels: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(data.tobytes())) as picture:
                width, height = picture.size
                refuse_large((height, width, channels), 2 if picture.mode[:3] == "I;1" else 1)
    except Pillow.DecompressionBombError as error:
        raise DataError("is too large for the memory; cut it into tiles or reduce it") from error
    except _PILLOW_ERRORS:
        return  # decoding gives the reason


def _to_full_range(image: Image, data: Bytes) -> Image:
    """Scales a PGM or PPM image whose header declares another largest value than its type has."""
    match = _PNM.match(data[:4096].tobytes())
    full, largest = np.iinfo(image.dtype).max, int(match[1]) if match else 0
    if largest in (0, full):
        return image
    scaled = np.rint(image * (full / largest)).clip(0, full)
    return np.asarray(scaled, image.dtype)


def _by_pillow(data: Bytes, flag: int) -> Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture: Pillow.Image = Pillow.open(io.BytesIO(data.tobytes()))
            if flag == _UNCHANGED:
                flag = _GRAY if _is_gray(picture) else cv2.IMREAD_COLOR_RGB
            else:
                picture = ImageOps.exif_transpose(picture)
            if (flag & ~cv2.IMREAD_ANYDEPTH) != _GRAY:
                return np.asarray(picture.convert("RGB"))
            deep = picture.mode == "F" or picture.mode.startswith("I")
            return np.asarray(picture if deep else picture.convert("L"))
    except UnidentifiedImageError as error:
        raise DataError(_unknown(data[:16].tobytes())) from error
    except _PILLOW_ERRORS as error:
        raise DataError(f"cannot be decoded: {str(error).rstrip('.')}") from error


def _is_gray(picture: Pillow.Image) -> bool:
    """Tells whether a picture has shades of gray only, by its mode or its color table."""
    if picture.mode == "P":
        table = np.array(picture.getpalette("RGB")).reshape(-1, 3)
        return bool((table == table[:, :1]).all())
    return picture.mode in _GRAY_MODES or picture.mode.startswith("I;")


def _unknown(head: bytes) -> str:
    if head[4:8] == b"ftyp" and not (head[8:12] == b"avif" and features.check("avif")):
        kind = head[8:12].decode("ascii", "replace").strip()
        return (
            f"is a file of the kind '{kind}' (AVIF, HEIC), which this version of Pillow cannot "
            "decode; convert it to PNG, or for AVIF run: pip install 'pillow>=11.3'"
        )
    return "is damaged, or no image that OpenCV or Pillow can decode"


def is_animated(data: Bytes) -> bool:
    """Tells whether a GIF, PNG, WebP or AVIF holds further frames, of which only one is read."""
    head = data[:64].tobytes()
    if head[4:12] == b"ftypavis":
        return True
    if head[:4] == b"RIFF":
        return head[12:16] == b"VP8X" and bool(head[20] & 2)
    if head[:4] == b"\x89PNG":
        return b"acTL" in head
    if head[:4] == b"GIF8":
        try:
            with Pillow.open(io.BytesIO(data.tobytes())) as picture:
                return bool(getattr(picture, "is_animated", False))
        except (OSError, ValueError, SyntaxError):
            return False
    return False


def _is_whole(head: bytes, data: Bytes) -> bool:
    """Tells whether a file goes on to the end that its structure says; others are whole."""
    checks: dict[bytes, Callable[[bytes], bool]] = {
        b"\xff\xd8": _whole_jpeg,
        b"\x89P": _whole_png,
        b"RI": lambda file: len(file) >= int.from_bytes(file[4:8], "little") + 8,
        b"BM": _whole_bitmap,
    }
    check = checks.get(head[:2])
    try:
        return check is None or bool(check(data.tobytes()))
    except struct.error:
        return False


def _whole_jpeg(file: bytes) -> bool:
    return any(marker == _END for marker, _ in _markers(file))


def _markers(file: bytes) -> Iterator[tuple[int, int]]:
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


def _whole_png(file: bytes) -> bool:
    at = 8
    while at + 12 <= len(file):
        length, name = struct.unpack(">I4s", file[at : at + 8])
        at += 12 + length
        if name == b"IEND":
            return bool(at <= len(file))
    return False


def _whole_bitmap(file: bytes) -> bool:
    """Compares with the size of uncompressed rows, because the field of the size is often 0."""
    begin, header, width, height, _, bits, packing = struct.unpack("<IIiiHHI", file[10:34])
    row = (abs(width) * bits + 31) // 32 * 4
    return bool(header < 40 or packing not in (0, 3) or len(file) >= begin + row * abs(height))
