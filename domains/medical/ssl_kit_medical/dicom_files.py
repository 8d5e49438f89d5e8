"""Reads headers and single frames of DICOM files with pydicom.

No message quotes a value of a file, and the warnings and log lines of pydicom, which do, are
silenced.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    RLELossless,
)

from ssl_kit import DataError, Image
from ssl_kit.data import keep_open

from . import decoders
from .dicom_headers import (
    Header,
    describe,
    is_color,
    is_plain,
    pixel_sides,
    shape,
)
from .dicom_tags import INDEX_TAGS, PIXEL_TAGS
from .dicom_values import color, gray
from .packed_bits import is_packed, read_packed
from .squares import resized, square_size

pydicom.config.logger.propagate = False  # its lines may quote a patient's name

_HEADER = 2**26  # bytes of a header that are read at most
_LARGEST = 2**28  # bytes of one frame; the largest mammograms have 2^26
_END, _TAIL = b"\xff\xd9", 64  # how a JPEG or JPEG-LS stream ends, but for some padding
_JPEG_SIZES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # start of frame; F7 is JPEG-LS


class Bounded:
    """An open file of which no more bytes are read than it has, and no more than a budget in all.

    It protects against false lengths that a file declares.
    """

    def __init__(self, file: BinaryIO, budget: int) -> None:
        self._file, self._budget = file, budget
        self.size = os.fstat(file.fileno()).st_size

    def read(self, count: int = -1) -> bytes:
        """Reads up to `count` bytes; only pydicom's inflating asks for all."""
        left = max(0, self.size - self._file.tell())
        wanted = left if count is None or count < 0 else min(count, left)
        self._budget -= wanted
        if self._budget < 0:
            raise DataError("declares a part of absurd length")
        data = self._file.read(wanted)
        if count is None or count < 0:
            _check_inflated(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves on."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Tells where it is."""
        return self._file.tell()


def _check_inflated(data: bytes) -> None:
    """Refuses a deflated part that would grow beyond what one frame may take."""
    inflate, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while data:
        total += len(inflate.decompress(data, 2**20))
        data = inflate.unconsumed_tail
        if total > _LARGEST:
            raise DataError("inflates to an absurd length")


@contextmanager
def _opened(path: Path, budget: int, failure: str) -> Iterator[Bounded]:
    """Opens a file, and turns any error into one line that quotes nothing of it."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bounded = Bounded(file, budget)
            if not bounded.size:
                raise DataError("the file is empty")
            yield bounded
    except DataError:
        raise
    except InvalidDicomError:
        raise DataError("is no DICOM file: it does not start as one") from None
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}" if error.errno else failure
        raise DataError(reason) from None
    except Exception as error:  # noqa: BLE001  pydicom and decoders may raise anything
        raise DataError(f"{failure} ({type(error).__name__})") from None


def read_header(path: Path, modality: str = "") -> Header | None:
    """Reads the facts of a file for the index.

    Args:
        path: The file.
        modality: Modality that is wanted; "" for all.

    Returns:
        None if the file holds no image (a report, a structure set, a directory) or an unwanted one.

    Raises:
        DataError: If the file is damaged or of a kind that cannot be read.
    """
    with _opened(path, _HEADER, "has a damaged header") as file:
        ds = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=INDEX_TAGS)
        if "Rows" not in ds:
            if _should_have_an_image(ds):
                raise DataError("is cut off before its image")
            return None
        if modality and ds.get("Modality") != modality:
            return None
        _check_size(ds, file)
        return describe(ds)


def _should_have_an_image(ds: Dataset) -> bool:
    """Tells whether the class of a file is that of an image, or unknown."""
    kind = UID(str(ds.file_meta.get("MediaStorageSOPClassUID") or ds.get("SOPClassUID", "")))
    images = ("Image", "Dose", "Segmentation", "Parametric Map")
    return kind.name == str(kind) or any(word in kind.name for word in images)


def _check_size(ds: Dataset, file: Bounded) -> None:
    """Compares the size in a header with the size of the file."""
    height, width, samples, bits, frames = shape(ds)
    size = height * width * samples * bits / 8
    if samples not in (1, 3) or not 0 < size <= _LARGEST or frames < 1:
        raise DataError(
            f"declares {frames} images of {height} x {width} x {samples} pixels of {bits} bits"
        )
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax == DeflatedExplicitVRLittleEndian:
        needed, left = size * frames, float(_LARGEST)
    elif syntax.is_encapsulated:
        needed, left = 8.0 * frames, file.size - file.tell()
    else:
        subsampled = ds.get("PhotometricInterpretation") == "YBR_FULL_422"
        needed, left = size * frames * (2 / 3 if subsampled else 1), file.size - file.tell() - 8
    if needed > left:
        raise DataError(
            f"is cut off: its pixels take {needed:.0f} bytes, it has {max(0, left):.0f}"
        )


@dataclass(frozen=True)
class _Source:
    """Position and encoding of the pixels of a file."""

    ds: Dataset
    syntax: UID
    options: dict[str, Any]
    offset: int
    plain: bool


def read_frame(path: Path, number: int, by_shape: bool = False) -> Image:
    """Reads one frame, in square pixels.

    Args:
        path: The file.
        number: Of the frame, from 0.
        by_shape: Whether PresentationLUTShape tells what is bright in a header that contradicts
            itself, not PhotometricInterpretation.

    Returns:
        (H, W, 3) uint8 of a color image; (H, W, 1) of a gray one, in which more is brighter:
        uint8 if it is plain, else float32 in physical units with NaN for padding.

    Raises:
        DataError: If it cannot be read; the message gives the reason.
    """
    with _opened(path, _HEADER + 4 * _LARGEST, "is damaged or cut off") as file:
        source = _source(path)
        stored = _decode(file, source, number)
        ds = source.ds
        size = square_size(stored.shape[0], stored.shape[1], pixel_sides(ds, number))
        if is_color(ds):
            return resized(color(stored, ds), size)
        return resized(gray(stored, ds, number, source.plain, by_shape), size)


@keep_open(8)  # the header of a file with many frames is long
def _source(path: Path) -> _Source:
    with path.open("rb") as opened:
        file = Bounded(opened, _HEADER)
        ds = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=PIXEL_TAGS)
        _check_size(ds, file)
        syntax = ds.file_meta.TransferSyntaxUID
        options = as_pixel_options(ds, transfer_syntax_uid=syntax, pixel_keyword="PixelData")
        if syntax != DeflatedExplicitVRLittleEndian:
            order = "<" if syntax.is_little_endian else ">"
            _, element, vr = struct.unpack(f"{order}HH2s", file.read(6))
            explicit = vr in (b"OB", b"OW", b"OF", b"OD")  # whatever the file says it is
            if explicit:
                options["pixel_vr"] = vr.decode()
            file.seek(6 if explicit else 2, 1)
            names = {0x08: "FloatPixelData", 0x09: "DoubleFloatPixelData"}
            options["pixel_keyword"] = names.get(element, "PixelData")
        return _Source(ds, syntax, options, file.tell(), is_plain(ds))


def _decode(file: Bounded, source: _Source, number: int) -> NDArray[Any]:
    """Returns stored values, (H, W) or (H, W, 3) RGB."""
    syntax, options = source.syntax, dict(source.options)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        named = "a private form" if syntax.is_private or not syntax.name else syntax.name
        raise DataError(f"is stored as {named}, which pydicom cannot decode") from None
    if not decoder.is_available:
        raise DataError(f"is stored as {syntax.name}; install a decoder of pydicom for it")
    if syntax == DeflatedExplicitVRLittleEndian:
        whole = pydicom.dcmread(file, specific_tags=[*PIXEL_TAGS, "PixelData"])
        if is_packed(whole):
            return read_packed(BytesIO(whole.PixelData), whole, number)
        return pixel_array(whole, index=number)
    file.seek(source.offset)
    if not syntax.is_encapsulated and syntax.is_little_endian and is_packed(source.ds):
        return read_packed(file, source.ds, number)
    if not syntax.is_encapsulated:
        return decoder.as_array(file, index=number, **options)[0]  # type: ignore[arg-type]
    table = options.pop("extended_offsets", None)
    frames = options["number_of_frames"]
    coded = get_frame(file, number, extended_offsets=table, number_of_frames=frames)
    _check_coded(coded, syntax, (options["rows"], options["columns"]))
    options["number_of_frames"] = 1
    if decoders.NAME in decoder.available_plugins:  # before any other that is installed
        options["decoding_plugin"] = decoders.NAME
    return decoder.as_array(encapsulate([coded]), index=0, **options)[0]


def _check_coded(coded: bytes, syntax: UID, size: tuple[int, int]) -> None:
    """Refuses a stream of another size than declared, or that a decoder would complete silently."""
    if syntax == RLELossless:
        return
    if coded_size(coded) != size:
        raise DataError("its compressed image is of another size than it declares")
    if syntax not in JPEG2000TransferSyntaxes and _END not in coded[-_TAIL:]:
        raise DataError("its compressed image is cut off")


def coded_size(data: bytes) -> tuple[int, int] | None:
    """Returns height and width that a JPEG, JPEG-LS or JPEG 2000 stream declares, None if none.

    Decoders make room for what the stream says, whatever the header of the file says.
    """
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start >= 0 and len(data) >= start + 24:
        right, bottom, left, top = struct.unpack(">4L", data[start + 8 : start + 24])
        return bottom - top, right - left
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return height, width
        padding = marker == 0xFF
        at += 1 if padding else 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None
