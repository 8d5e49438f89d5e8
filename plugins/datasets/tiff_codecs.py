"""Tells from the header of a TIFF file whether its compression and numbers can be decoded here."""

from __future__ import annotations

from .tiff_pages import Storage

_CONVERT = "save it uncompressed or by Deflate, for example by tifffile with imagecodecs"
_COMPRESSIONS = {
    **{1: "no compression", 2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 5: "LZW"},
    **{6: "old JPEG", 7: "JPEG", 8: "Deflate", 32773: "PackBits", 32946: "Deflate"},
    **{32766: "NeXT", 32771: "CCITT", 32809: "ThunderScan", 34676: "SGILog", 34677: "SGILog24"},
    **{32909: "PixarLog", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"},
}
"""What libtiff decodes, by the value of the tag Compression."""
_LERC = 34887
_OTHERS = {
    **{_LERC: "LERC", 34661: "JBIG", 34933: "PNG", 34934: "JPEG XR", 22610: "JPEG XR"},
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
}
_KINDS = {1: "unsigned integers", 2: "integers", 3: "floats", 5: "complex integers"}
_FLOATS, _COMPLEX = 3, (5, 6)


def way_of(stored: Storage) -> str:
    """Returns in words how a TIFF file is stored."""
    numbers = f"{stored.bits}-bit {_KINDS.get(stored.kind, 'numbers')}"
    if stored.kind in _COMPLEX:
        numbers = f"complex numbers of {stored.bits} bits"
    channels = f"{stored.channels} channels of " if stored.channels > 1 else ""
    code = stored.compression
    known = {**_COMPRESSIONS, **_OTHERS}.get(code, f"code {code}")
    return f"a TIFF of {channels}{numbers}" + f" compressed by {known}" * (code != 1)


def reason_against(stored: Storage) -> str:
    """Returns why a TIFF file cannot be decoded here and what to do; "" if it perhaps can.

    OpenCV 5.1 gives zeros without an error for 8 bits in a compression that it does not know.
    """
    if stored.kind in _COMPLEX:
        return f"is {way_of(stored)}, which cannot be decoded here; --domain sar reads it"
    remote = stored.compression == _LERC or (stored.kind == _FLOATS and stored.bits == 16)
    if stored.compression not in _COMPRESSIONS or remote:
        advice = "--domain remote_sensing reads it" if remote else _CONVERT
        return f"is {way_of(stored)}, which cannot be decoded here; {advice}"
    return ""
