"""Decodes image files: OpenCV, and Pillow for what OpenCV cannot; checks that a file is whole."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Callable
from typing import BinaryIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError, features

from ... import DataError, Image
from .image_sizes import END, PILLOW_ERRORS, jpeg_markers, reduction
from .tiff_codecs import reason_against, way_of
from .tiff_pages import ArrayFile, Storage, storage_of

Bytes = NDArray[np.uint8]

_UNCHANGED, _GRAY = cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE
GRAY_MODES = ("1", "L", "LA", "La", "I", "F")  # of Pillow; I;16 and its kin begin with I
_PNM = re.compile(rb"P[2356](?:(?:\s|#[^\n]*\n)+\d+){2}(?:\s|#[^\n]*\n)+(\d+)")
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV has it
_REDUCED = {
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}

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
    tiff = storage_of(data)
    if tiff is not None:
        return _tiff(data, flag, tiff)
    image = _by_opencv(data, flag)
    if image is None:
        return _by_pillow(data, flag)
    if flag == _UNCHANGED and image.ndim == 3 and _has_gray_and_alpha(head, data):
        return image[..., 0]
    return _to_full_range(image, data) if head[:2] in (b"P2", b"P3", b"P5", b"P6") else image


def _by_opencv(data: Bytes, flag: int) -> Image | None:
    try:
        return cv2.imdecode(data, flag)
    except cv2.error:
        return None


def _tiff(data: Bytes, flag: int, stored: Storage) -> Image:
    """Decodes a TIFF file as it is stored, and converts gray and RGB into each other itself.

    OpenCV 5.0 gives wrong values without an error for color of 16 bits where it is asked for RGB,
    for channels in planes of more than 8 bits, for gray with alpha, and multiplies by alpha.
    """
    deep = stored.bits > 8
    if reason := reason_against(stored):
        raise DataError(reason)
    if stored.channels > 4 or (deep and (stored.channels == 2 or stored.planes)):
        raise DataError(
            f"is a TIFF of {stored.channels} channels of {stored.bits} bits"
            f"{' in planes one after another' * stored.planes}, which cannot be decoded here; "
            "--domain remote_sensing reads it"
        )
    image = None if stored.channels in (2, 4) and not deep else _by_opencv(data, _UNCHANGED)
    inverted = stored.negative and deep  # both libraries invert 8 bits themselves, and no others
    if image is None:
        image = _by_pillow(data, flag)
        return _inverted(image) if inverted else image
    image = _inverted(image) if inverted else image
    if flag == _UNCHANGED:
        return image
    gray = (flag & ~cv2.IMREAD_ANYDEPTH) == _GRAY
    if image.ndim == 2:
        return image if gray else np.repeat(image[..., None], 3, axis=2)
    rgb = image[..., 2::-1]
    mean = rgb @ np.array(_LUMA) if gray else rgb
    return np.ascontiguousarray(np.rint(mean) if rgb.dtype.kind in "iu" else mean, rgb.dtype)


def _inverted(image: Image) -> Image:
    """Makes an image in which 0 is white one in which 0 is black, where floats go up to 1."""
    inverse = np.invert(image) if image.dtype.kind in "iu" else 1 - image
    return np.asarray(inverse, image.dtype)


def _has_gray_and_alpha(head: bytes, data: Bytes) -> bool:
    """Tells whether a PNG has shades of gray with an alpha channel, which OpenCV shows as color."""
    return head[:4] == b"\x89PNG" and len(data) > 25 and int(data[25]) == 4


def _to_full_range(image: Image, data: Bytes) -> Image:
    """Scales a PGM or PPM image whose header declares another largest value than its type has."""
    match = _PNM.match(data[:4096].tobytes())
    full, largest = np.iinfo(image.dtype).max, int(match[1]) if match else 0
    if largest in (0, full):
        return image
    scaled = np.rint(image * (full / largest)).clip(0, full)
    return np.asarray(scaled, image.dtype)


def _opened(data: Bytes) -> Pillow.Image:
    file = ArrayFile(data)  # a copy of a stack of pages may not fit into memory
    return Pillow.open(cast(BinaryIO, file))


def _by_pillow(data: Bytes, flag: int) -> Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture: Pillow.Image = _opened(data)
            if flag == _UNCHANGED:
                flag = _GRAY if _is_gray(picture) else cv2.IMREAD_COLOR_RGB
            else:
                picture = ImageOps.exif_transpose(picture)
            if (flag & ~cv2.IMREAD_ANYDEPTH) != _GRAY:
                return np.asarray(picture.convert("RGB"))
            deep = picture.mode == "F" or picture.mode.startswith("I")
            return np.asarray(picture if deep else picture.convert("L"))
    except UnidentifiedImageError as error:
        raise DataError(_unknown(data)) from error
    except PILLOW_ERRORS as error:
        raise DataError(f"cannot be decoded: {str(error).rstrip('.')}") from error


def _is_gray(picture: Pillow.Image) -> bool:
    """Tells whether a picture has shades of gray only, by its mode or its color table."""
    if picture.mode == "P":
        table = np.array(picture.getpalette("RGB")).reshape(-1, 3)
        return bool((table == table[:, :1]).all())
    return picture.mode in GRAY_MODES or picture.mode.startswith("I;")


def _unknown(data: Bytes) -> str:
    head, tiff = data[:16].tobytes(), storage_of(data)
    if head[4:8] == b"ftyp" and not (head[8:12] == b"avif" and features.check("avif")):
        kind = head[8:12].decode("ascii", "replace").strip()
        return (
            f"is a file of the kind '{kind}' (AVIF, HEIC), which this version of Pillow cannot "
            "decode; convert it to PNG, or for AVIF run: pip install 'pillow>=11.3'"
        )
    if tiff is not None:
        return f"is damaged, or a kind of TIFF that cannot be decoded here: {way_of(tiff)}"
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
            with _opened(data) as picture:
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
    return any(marker == END for marker, _ in jpeg_markers(file))


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
