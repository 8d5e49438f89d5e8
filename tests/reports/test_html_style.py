"""Colors must be told apart from their background, in both themes."""

import re
from pathlib import Path

import pytest

from ssl_kit.reports import html

CSS = (Path(html.__file__).parent / "templates" / "style.css").read_text()
THEMES = [
    dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
]


def luminance(color):
    """WCAG 2.2, relative luminance."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_there_are_two_themes_with_the_same_colors():
    light, dark = THEMES
    assert set(light) == set(dark) > {f"s{i}" for i in range(8)}
    assert luminance(light["paper"]) > 0.9 > 0.02 > luminance(dark["paper"])


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
def test_text_and_marks_stand_out(theme, ground):
    for name in ("ink", "quiet", "accent", "good", "warn", "bad"):
        assert contrast(theme[name], theme[ground]) >= 4.5, name
    for i in range(8):
        assert contrast(theme[f"s{i}"], theme[ground]) >= 3, i
    assert contrast(theme["bad"], theme["bad-paper"]) >= 4.5
