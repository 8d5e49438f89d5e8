from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_histopathology.slides import Slides, SlidesConfig
from ssl_kit_histopathology.tiff import write_slide

Make = Callable[..., np.ndarray]
_PEAK = """
import resource, sys
from pathlib import Path
from ssl_kit_histopathology.slides import Slides, SlidesConfig
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = Slides.open(Path(sys.argv[1]), SlidesConfig())
for i in range(0, len(data), max(1, len(data) // 20)):
    data.read(i)
print(len(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def peak(path: Path) -> tuple[int, int]:
    """Returns tiles, and by how many KiB memory grew."""
    command = [sys.executable, "-c", _PEAK, str(path)]
    tiles, grown = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
    return int(tiles), int(grown)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_slide(tmp_path: Path) -> None:
    """8,000 x 8,000 pixels would be 256 MB."""
    color = np.array([200, 80, 150], np.uint8)
    huge = np.broadcast_to(color, (8_000, 8_000, 3))
    write_slide(tmp_path / "a.tif", [huge], 0.5, compression="zlib")
    tiles, grown = peak(tmp_path)
    assert tiles == 35 * 35
    assert grown < 130_000


@pytest.mark.parametrize("claimed", [2**20, 2**31 - 1])
def test_a_header_that_claims_too_much_is_refused(
    write: Callable[..., Path], claimed: int, tissue: Make
) -> None:
    path = write(tissue(256, 256))
    data = path.read_bytes()
    for tag in (256, 257):
        data = data.replace(
            struct.pack("<HHII", tag, 4, 1, 256), struct.pack("<HHII", tag, 4, 1, claimed)
        )
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.tif"):
        Slides.open(path, SlidesConfig())


def test_a_large_slide_without_a_small_level_is_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tissue: Make
) -> None:
    monkeypatch.setattr("ssl_kit_histopathology.overview._READABLE", 1000)
    with pytest.raises(DataError, match=r"no small level .* 256 x 256 pixels; 'vips tiffsave"):
        Slides.open(write(tissue(256, 256)), SlidesConfig(tile=64))


def test_too_many_tiles_are_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tissue: Make
) -> None:
    monkeypatch.setattr("ssl_kit_histopathology.tiles._MOST", 8)
    with pytest.raises(DataError, match=r"would have 3 x 3 tiles"):
        Slides.open(write(tissue(192, 192)), SlidesConfig(tile=64))
