"""Binary portable graymaps: a header in words, then the pixels.

https://netpbm.sourceforge.net/doc/pgm.html
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ssl_kit import Config, DataError, Image
from ssl_kit.data import FileDataset

_GAP = rb"(?:\s|#[^\n]*\n)+"  # white space and comments
_HEADER = re.compile(rb"P5" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)\s")


def decode(data: bytes) -> Image:
    """Decodes one file to (H, W, 1), uint8 or uint16.

    Raises:
        DataError: If it is no such file, or cut off.
    """
    header = _HEADER.match(data)
    if header is None:
        raise DataError("is no binary graymap: it does not start with P5, width, height, maximum")
    width, height, top = (int(number) for number in header.groups())
    kind = np.dtype(">u2" if top > 255 else "u1")
    if len(data) - header.end() < width * height * kind.itemsize:
        raise DataError("the file is cut off")
    pixels = np.frombuffer(data, kind, width * height, header.end())
    return pixels.astype(kind.newbyteorder("=")).reshape(height, width, 1)


class ExampleNameConfig(Config):
    """Options of the reader; users set them by --set data.options.NAME=VALUE."""

    channel: Annotated[str, Field(description="name of the one channel")] = "gray"


class ExampleName(FileDataset):
    """Graymaps in a folder; the scale of 16-bit ones is measured.

    `FileDataset` indexes the files, with labels from folders or labels.csv, and opens them. A file
    that holds many images needs another index: see `Index.expand`.
    """

    Config = ExampleNameConfig
    options: ExampleNameConfig
    suffixes = (".pgm",)

    def prepare(self) -> None:
        """Indexes the files; none is read yet."""
        super().prepare()
        self.channels = (self.options.channel,)

    @classmethod
    def example(cls, folder: Path) -> None:
        """Writes a few files, for the checks."""
        rng = np.random.default_rng(0)
        for label in ("a", "b"):
            (folder / label).mkdir()
            for i in range(3):
                pixels = rng.integers(0, 4096, (24, 32)).astype(">u2")
                (folder / label / f"{i}.pgm").write_bytes(b"P5 32 24 4095\n" + pixels.tobytes())

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, 1), in the values of the file."""
        try:
            return decode(self.path_of(i).read_bytes())
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from error
