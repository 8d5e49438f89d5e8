"""Names of the bands of radar files, and bands that are parts of complex numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_REAL = re.compile(r"(?:i|re|real|inphase)(?:[_ -](.+))?")  # names of bands, as SNAP writes them
_IMAGINARY = re.compile(r"(?:q|im|imag|quadrature)(?:[_ -](.+))?")
_AUXILIARY = re.compile(
    r"(?<![a-z])(angle|\w*incidence\w*|lia|ls_?map|layover\w*|shadow\w*|\w*mask|dem|elevation|"
    r"latitude|longitude)(?![a-z])",
    re.IGNORECASE,
)


def meaning_of(file: Any, band: int) -> str:
    """Returns the meaning of a band of a NITF: I, Q, M, P, or ""."""
    return str(file.tags(band).get("NITF_ISUBCAT", "")).strip() if file.driver == "NITF" else ""


def is_auxiliary(name: str | None) -> bool:
    """Tells whether a band of this name is no backscatter: an angle, a mask, a height."""
    return bool(name) and bool(_AUXILIARY.search(str(name)))


def names_of(descriptions: Sequence[str | None], pairs: bool) -> tuple[str, ...]:
    """Returns the names of the bands in a file, else sar, or band1, band2, ..."""
    names = tuple(_without_unit(text or "") for text in descriptions)
    if pairs or not all(names) or len(set(names)) < len(names):
        return numbered(len(names) // 2 if pairs else len(names))
    return names


def _without_unit(name: str) -> str:
    """Returns the name of a band without the words that a channel says of itself."""
    plain = re.sub(r"[_ -]+d[bB]$|^(amplitude|intensity)[_ -]+", "", name.strip(), flags=re.I)
    return plain.lower()


def paired_names(descriptions: Sequence[str | None]) -> tuple[str, ...] | None:
    """Returns the names of complex polarizations whose parts are bands i_VV, q_VV; else None."""
    texts = [(text or "").strip().lower() for text in descriptions]
    pairs = [
        (_REAL.fullmatch(real), _IMAGINARY.fullmatch(imaginary))
        for real, imaginary in zip(texts[::2], texts[1::2], strict=False)
    ]
    if not pairs or len(texts) % 2 or not all(a and b and a[1] == b[1] for a, b in pairs):
        return None
    names = tuple(real[1] or "sar" for real, _ in pairs if real)
    return names if len(set(names)) == len(names) else numbered(len(names))


def numbered(bands: int) -> tuple[str, ...]:
    """Returns names of bands that have none: sar, or band1, band2, ..."""
    return ("sar",) if bands == 1 else tuple(f"band{band + 1}" for band in range(bands))
