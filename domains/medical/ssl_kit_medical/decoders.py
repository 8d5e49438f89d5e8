"""A decoder for pydicom of JPEG, JPEG-LS and JPEG 2000, through imagecodecs (BSD-3).

Of pydicom's own, GDCM ends the process on some damaged streams, pylibjpeg-libjpeg is GPL-3.0, and
the others lack lossless JPEG and that of 12 bits.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
from numpy.typing import NDArray
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

NAME = "imagecodecs"
_JPEG2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
_SYNTAXES = (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes, *_JPEG2000)


def is_available(syntax: str) -> bool:
    """Tells pydicom that the decoder can be used."""
    return True


def decode(source: bytes, runner: DecodeRunner) -> bytes:
    """Decodes one frame, and tells pydicom its encoding."""
    pixels = _pixels(source, runner)
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    if pixels.ndim == 3:
        runner.set_option("planar_configuration", 0)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):  # those of JPEG 2000
        runner.set_option("photometric_interpretation", "RGB")
    return pixels.tobytes()


def _pixels(source: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Returns (H, W) or (H, W, 3); colors as they are stored, but for JPEG 2000, which are RGB."""
    if runner.transfer_syntax in _JPEG2000:
        return imagecodecs.jpeg2k_decode(source)
    if runner.transfer_syntax in uid.JPEGLSTransferSyntaxes:
        return imagecodecs.jpegls_decode(source)
    same = "YCBCR" if runner.samples_per_pixel == 3 else None  # the header tells what they are
    return imagecodecs.jpeg8_decode(source, colorspace=same, outcolorspace=same)


for _syntax in _SYNTAXES:
    get_decoder(_syntax).add_plugin(NAME, (__name__, "decode"))
