"""Draws the legend of a picture of a slide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ssl_kit import Image

_LINE, _BOX, _GAP, _LETTERS = 20, 12, 8, 13  # pixels
_INK = (26, 29, 33)

Color = tuple[int, int, int]


def with_legend(picture: Image, lines: Sequence[tuple[str, Color]]) -> Image:
    """Adds a legend below a picture; the picture is as it was, on white if it is narrower.

    Args:
        picture: (H, W, 3) RGB.
        lines: Text and color of each line.
    """
    font = ImageFont.load_default(_LETTERS)
    height, width = picture.shape[:2]
    widest = max(int(font.getlength(text)) for text, _ in lines) + _BOX + 3 * _GAP
    size = (max(width, widest), height + _LINE * len(lines) + _GAP)
    sheet = Pillow.new("RGB", size, "white")
    sheet.paste(Pillow.fromarray(picture), (0, 0))
    pen = ImageDraw.Draw(sheet)
    for number, (text, color) in enumerate(lines):
        middle = height + _GAP // 2 + _LINE * number + _LINE // 2
        top = middle - _BOX // 2
        pen.rectangle((_GAP, top, _GAP + _BOX, top + _BOX), outline=color, width=2)
        pen.text((2 * _GAP + _BOX, middle), text, _INK, font, anchor="lm")
    return np.asarray(sheet)
