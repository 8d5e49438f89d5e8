"""Frames of single bits in DICOM files, as segmentations have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from .dicom_headers import shape


def is_packed(ds: Dataset) -> bool:
    """Tells whether frames of single bits begin within a byte, which pydicom does not expect."""
    height, width, _, bits, _ = shape(ds)
    return bits == 1 and bool(height * width % 8)


def read_packed(file: Any, ds: Dataset, number: int) -> NDArray[np.uint8]:
    """Reads a frame of single bits, which follow each other without gaps, low bits first.

    Args:
        file: The open file, at the first frame.
        ds: Header.
        number: Of the frame.

    Returns:
        (H, W) of 0 and 1.

    Raises:
        ValueError: If the file ends within the frame.
    """
    height, width, *_ = shape(ds)
    first, past = number * height * width, (number + 1) * height * width
    file.seek(first // 8, 1)
    coded = file.read(-(-past // 8) - first // 8)
    bits = np.unpackbits(np.frombuffer(coded, np.uint8), bitorder="little")[first % 8 :]
    return bits[: height * width].reshape(height, width)
