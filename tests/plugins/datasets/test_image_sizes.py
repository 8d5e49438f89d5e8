"""Headers are made by hand: no image of these sizes is ever decoded."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ssl_kit import DataError
from ssl_kit.data import MOST_BYTES, refuse_large
from ssl_kit.plugins.datasets.image_files import decode
from ssl_kit.plugins.datasets.image_sizes import reduction

UNCHANGED, GRAY, COLOR = cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR_RGB


def as_bytes(content):
    return np.frombuffer(content, np.uint8)


def png_bomb(side):
    def chunk(name, data):
        return struct.pack(">I4s", len(data), name) + data + struct.pack(">I", zlib.crc32(name))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b"")


def jpeg_of(height, width, progressive=False):
    """Returns a small JPEG whose header declares another size."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "jpeg", progressive=progressive)
    marker = b"\xff\xc2" if progressive else b"\xff\xc0"
    at = file.getvalue().index(marker)
    content = bytearray(file.getvalue())
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def saved(kind, side, **options):
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        png_bomb(30000),
        jpeg_of(30000, 30000, progressive=True),
        saved("tiff", 24000, compression="group4"),
        saved("gif", 14000),
    ],
    ids=["png", "progressive jpeg", "tiff", "gif"],
)
def test_what_does_not_fit_into_memory_is_refused_by_its_header(content):
    with pytest.raises(DataError, match=r"memory.*cut it into tiles or reduce it"):
        decode(as_bytes(content), COLOR)


@pytest.mark.parametrize(
    ("height", "width", "flag", "factor"),
    [
        (12000, 12000, COLOR, 1),
        (20000, 20000, COLOR, 2),
        (20000, 20000, GRAY, 1),
        (65500, 65500, COLOR, 8),
    ],
)
def test_a_large_jpeg_is_reduced_as_little_as_needed(height, width, flag, factor):
    assert reduction(as_bytes(jpeg_of(height, width)), flag) == factor


def test_a_reduced_jpeg_has_the_colors_of_the_whole_one(monkeypatch):
    image = np.full((160, 320, 3), (200, 90, 30), np.uint8)
    data = as_bytes(cv2.imencode(".jpg", image[..., ::-1])[1].tobytes())
    whole = decode(data, COLOR)
    monkeypatch.setattr("ssl_kit.data.pixels.MOST_BYTES", 12_000)
    reduced = decode(data, COLOR)
    assert reduced.shape == (40, 80, 3)
    assert np.abs(reduced.mean((0, 1)) - whole.mean((0, 1))).max() < 1
    assert decode(data, UNCHANGED).shape == (40, 80, 3)


def test_the_bound_is_told():
    refuse_large((MOST_BYTES // 8, 8))
    with pytest.raises(DataError, match=r"would take 1.0 GiB .*, and an image may take 0.5 GiB"):
        refuse_large((MOST_BYTES // 2, 2, 2))
