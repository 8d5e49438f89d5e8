"""Image files in folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image as Pillow
from pydantic import Field

from ... import Config, DataError, Image
from ...data import (
    MOST_BYTES,
    FileDataset,
    evenly_spaced,
    fills_among,
    in_other_depth,
    listed_fills,
    without_fills,
)
from .image_files import Bytes, decode, is_animated
from .image_sizes import is_reduced
from .tiff_pages import absent_planes, pages_of, storage_of

NAMES = {"gray": ("gray",), "rgb": ("red", "green", "blue")}
_EXIF_ORIENTATION = 0x0112
_LOOKED_AT = 64  # images that decide on channels and number type
_PIXELS, _LEAST = 100e6, 8  # of these images together; their number all the same
_GOLDEN = 0.6180339887  # its multiples modulo 1 are evenly spread, wherever one stops


class _Kind(NamedTuple):
    """What an image is: gray or not, its number type, animated, a TIFF of four channels.

    `reduced` tells whether it is too large for the memory, as gray and in color.
    """

    gray: bool
    dtype: str
    animated: bool
    four: bool
    reduced: tuple[bool, bool]


class ImageFolderConfig(Config):
    """Options of the image folder."""

    channels: Annotated[
        Literal["auto", "gray", "rgb"],
        Field(description="channels of an image; auto is gray if most images looked at are gray"),
    ] = "auto"
    guess_nodata: Annotated[
        bool,
        Field(
            description="search for frequent values far from all others, which become missing data "
            "(NaN), in images of other numbers than 8 bits"
        ),
    ] = True


class ImageFolder(FileDataset):
    """JPEG, PNG, BMP, WebP, TIFF, GIF, AVIF and PNM; gray or RGB; an alpha channel is dropped.

    The number type of most images counts: 8 and 16 bits are converted into each other by their
    full range, other types that differ are unreadable. The pages of a TIFF are images of one
    group. Labels come from class folders, train/val/test folders or labels.csv (path, label,
    group, split); a flat folder of unlabeled images needs nothing.
    """

    Config = ImageFolderConfig
    options: ImageFolderConfig
    suffixes = (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".avif",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    )

    def prepare(self) -> None:
        """Indexes the files and their pages, and looks at some images to learn their kind."""
        super().prepare()
        self._find_pages()
        kinds = self._look()
        grays = sum(kind.gray for kind in kinds)
        chosen, auto = self.options.channels, self.options.channels == "auto"
        kind = chosen if not auto else "gray" if 2 * grays > len(kinds) else "rgb"
        self.channels = NAMES[kind]
        self._flag = cv2.IMREAD_GRAYSCALE if kind == "gray" else cv2.IMREAD_COLOR_RGB
        types = Counter(kind.dtype for kind in kinds)
        self._dtype = np.dtype(self._choose_type(types))
        self._remark(*self._differences(kind if auto else "", grays, len(kinds), types))
        self._find_fills()
        reduced = sum(each.reduced[kind == "rgb"] for each in kinds)
        if reduced:
            self._remark(
                f"{reduced} of the {len(kinds)} images looked at {_be(reduced)} too large for the "
                f"memory: an image may take {MOST_BYTES / 2**30:.1f} GiB. Every side of such a "
                "JPEG is read at 1/2, 1/4 or 1/8."
            )
        four = sum(each.four for each in kinds)
        if four:
            self._remark(
                f"{four} of the {len(kinds)} images looked at {_be(four)} TIFF of four channels, "
                "of which the fourth is left out as alpha; --domain remote_sensing reads all."
            )
        animated = sum(kind.animated for kind in kinds)
        if animated:
            self._remark(
                f"{animated} of the {len(kinds)} images looked at {_be(animated)} animated; of "
                "these only the first frame is used."
            )

    @classmethod
    def example(cls, folder: Path) -> Path:
        """Writes two classes of three PNG files each, one of them with 16 bits."""
        rng = np.random.default_rng(0)
        for i, dtype in enumerate([np.uint8] * 5 + [np.uint16]):
            image = rng.integers(0, np.iinfo(dtype).max, (24, 20, 3), dtype)
            (folder / "ab"[i % 2]).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / "ab"[i % 2] / f"{i}.png"), image)
        return folder

    def _find_fills(self) -> None:
        """Looks for missing data where pixels may be measurements: not in 8 bits."""
        self._fills: dict[float, float] = {}
        if self.options.guess_nodata and self._dtype.itemsize > 1:
            images = []
            for i in evenly_spaced(len(self), _LOOKED_AT).tolist():
                with suppress(DataError):
                    images.append(self.read(i))
            self._fills = fills_among(images)
        if self._fills:
            self._remark(listed_fills(self._fills))

    def _remark(self, *remarks: str) -> None:
        self.index = replace(self.index, remarks=(*self.index.remarks, *remarks))

    def _find_pages(self) -> None:
        """Makes an image of each page of each TIFF file."""
        self._file = np.arange(len(self.files))
        self._page = np.zeros(len(self.files), dtype=np.int64)
        lower = np.strings.lower(self.files.keys)
        tiffs = np.strings.endswith(lower, b".tif") | np.strings.endswith(lower, b".tiff")
        pages = {file: pages_of(self.path_of(file)) for file in np.flatnonzero(tiffs).tolist()}
        left_out = sum(each.left_out for each in pages.values())
        if left_out:
            self._remark(
                f"{left_out} pages of TIFF files are masks or smaller copies of their first page; "
                "they are left out."
            )
        self._stacks = {file: each for file, each in pages.items() if len(each) > 1}
        self._remark(*absent_planes(pages.values()))
        if not self._stacks:
            return
        counts = np.ones(len(self.files), dtype=np.int64)
        counts[list(self._stacks)] = [len(each) for each in self._stacks.values()]
        self._file = np.repeat(self._file, counts)
        self._page = np.arange(len(self._file)) - np.repeat(np.cumsum(counts) - counts, counts)
        keys = [
            f"{self.files.key(file)}[{number}]" if file in self._stacks else self.files.key(file)
            for file, number in zip(self._file.tolist(), self._page.tolist(), strict=True)
        ]
        self.index = self.index.expand(self._file, keys)
        self._remark(
            f"{len(self._stacks)} TIFF files have several pages, "
            f"{counts[list(self._stacks)].sum()} together: each page is an image, and the pages of "
            "a file are a group."
        )

    def options_for(self, channels: Sequence[str]) -> Mapping[str, Any]:
        """Returns `channels` if gray or RGB images are asked for."""
        kinds = {names: kind for kind, names in NAMES.items()}
        return {"channels": kinds[tuple(channels)]} if tuple(channels) in kinds else {}

    def _look(self) -> list[_Kind]:
        """Looks at some images.

        The images are evenly spread over the dataset; unreadable ones are not counted.
        """
        chosen = evenly_spaced(len(self), _LOOKED_AT)
        order = np.argsort(np.arange(len(chosen)) * _GOLDEN % 1)
        kinds: list[_Kind] = []
        pixels = 0
        for i in chosen[order].tolist():
            try:
                data = self._bytes(i)
                image = decode(data, cv2.IMREAD_UNCHANGED)
            except DataError:
                continue
            stored = storage_of(data) if image.ndim == 3 else None
            four = stored is not None and stored.channels == 4 and not stored.inks
            reduced = is_reduced(data, cv2.IMREAD_GRAYSCALE), is_reduced(data, cv2.IMREAD_COLOR_RGB)
            moving = is_animated(data)
            kinds.append(_Kind(image.ndim == 2, image.dtype.name, moving, four, reduced))
            pixels += image.shape[0] * image.shape[1]
            if pixels > _PIXELS and len(kinds) >= _LEAST:
                break
        return kinds

    def _choose_type(self, types: Counter[str]) -> str:
        """Returns the most frequent number type; that of a run's images where it is known."""
        most = max(types, key=lambda name: (types[name], name), default="uint8")
        given = self._value_range
        if given is None or most not in ("uint8", "uint16"):
            return most
        eight_bits = not given[:, 0].any() and bool((given[:, 1] == 255).all())
        return "uint8" if eight_bits else "uint16" if given.max() > 1 else most

    def _differences(self, kind: str, grays: int, count: int, types: Counter[str]) -> list[str]:
        """Returns what is said of images that are not of the kind that was chosen."""
        remarks = []
        others = {"gray": count - grays, "rgb": grays}.get(kind, 0)
        if others:
            one, other = ("gray", "in color") if kind == "gray" else ("in color", "gray")
            option = "rgb" if kind == "gray" else "gray"
            remarks.append(
                f"{others} of the {count} images looked at {_be(others)} {other}, most are {one}: "
                f"all are read as {', '.join(NAMES[kind])}; --set "
                f"data.options.channels={option} reads all as {', '.join(NAMES[option])}."
            )
        chosen = self._dtype.name
        for name, number in types.items():
            if name == chosen:
                continue
            if {name, chosen} == {"uint8", "uint16"}:
                outcome = (
                    f"their range 0 to {np.iinfo(name).max} becomes 0 to {np.iinfo(chosen).max}"
                )
            else:
                outcome = "they count as unreadable"
            remarks.append(
                f"{number} of the {count} images looked at {_be(number)} {name}, most are "
                f"{chosen}: {outcome}."
            )
        return remarks

    def _bytes(self, i: int) -> Bytes:
        """Returns the bytes of a file, in which page i comes first if it is a stack."""
        file = int(self._file[i])
        path, stack = self.path_of(file), self._stacks.get(file)
        try:
            if stack is not None:
                return stack.read(path, int(self._page[i]))
            if path.stat().st_size <= MOST_BYTES:
                return np.frombuffer(path.read_bytes(), np.uint8)
            return np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"cannot be opened: {reason}") from error

    def read(self, i: int) -> Image:
        """Returns image i, (H, W, 1) or (H, W, 3) RGB, of the number type of most images."""
        image = decode(self._bytes(i), self._flag | cv2.IMREAD_ANYDEPTH)
        image = without_fills(in_other_depth(image, self._dtype), self._fills)
        return image[..., None] if image.ndim == 2 else image

    def orientation(self, i: int) -> int:
        """Returns the EXIF orientation that was applied to image i, 1 to 8."""
        try:
            with Pillow.open(self._source(i)) as picture:
                value = picture.getexif().get(_EXIF_ORIENTATION, 1)
        except (DataError, OSError, ValueError, SyntaxError):
            return 1
        return int(value) if value in range(1, 9) else 1

    def _source(self, i: int) -> Path | BinaryIO:
        """Returns what Pillow opens to read the header of image i."""
        return self.path_of(int(self._file[i]))


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
