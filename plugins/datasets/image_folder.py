"""Image files in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from ... import Config, DataError, Image
from ...data import FileDataset

_NAMES = {"gray": ("gray",), "rgb": ("red", "green", "blue")}
_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}  # how a whole JPEG or PNG ends


class ImageFolderConfig(Config):
    """Options of the image folder."""

    channels: Annotated[
        Literal["auto", "gray", "rgb"],
        Field(description="channels of an image; auto is gray if the first readable image is gray"),
    ] = "auto"


class ImageFolder(FileDataset):
    """JPEG, PNG, BMP, WebP and TIFF, 8 or 16 bit, gray or RGB; an alpha channel is dropped.

    Labels come from class folders, train/val/test folders or labels.csv (path, label, group,
    split); a flat folder of unlabeled images needs nothing.
    """

    Config = ImageFolderConfig
    options: ImageFolderConfig
    suffixes = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

    def prepare(self) -> None:
        """Indexes the files, and opens a few of them to learn their channels."""
        super().prepare()
        auto = self.options.channels == "auto"
        kind = self._measure_kind() if auto else self.options.channels
        self.channels = _NAMES[kind]
        self._flag = cv2.IMREAD_GRAYSCALE if kind == "gray" else cv2.IMREAD_COLOR_RGB

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two classes of three PNG files each, one of them with 16 bits."""
        rng = np.random.default_rng(0)
        for i, dtype in enumerate([np.uint8] * 5 + [np.uint16]):
            image = rng.integers(0, np.iinfo(dtype).max, (24, 20, 3), dtype)
            (folder / "ab"[i % 2]).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / "ab"[i % 2] / f"{i}.png"), image)
        return folder

    def _measure_kind(self) -> str:
        """Returns "gray" if the first readable images have one channel, else "rgb"."""
        for i in range(min(16, len(self))):
            try:
                return "gray" if self._decode(i, cv2.IMREAD_UNCHANGED).ndim == 2 else "rgb"
            except DataError:
                continue
        return "rgb"

    def _decode(self, i: int, flag: int) -> Image:
        try:
            data = self.path_of(i).read_bytes()
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from error
        if not data:
            raise DataError("the file is empty")
        end = _ENDS.get(data[:2])
        if end and end not in data[-4096:]:
            raise DataError("the file is cut off")
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        except cv2.error as error:
            raise DataError(f"cannot be decoded: {error.err}") from error
        if image is None:
            raise DataError("is no image that OpenCV can decode")
        return image

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, 1) or (H, W, 3) RGB, uint8 or uint16."""
        image = self._decode(i, self._flag | cv2.IMREAD_ANYDEPTH)
        return image[..., None] if image.ndim == 2 else image
