from __future__ import annotations

import logging
import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit_histopathology.slides import Slides, SlidesConfig
from ssl_kit_histopathology.stains import macenko, reinhard

Write = Callable[..., Path]
Make = Callable[..., np.ndarray]


def opened(path: Path, labels: Path | None = None, **options: Any) -> Slides:
    return Slides.open(path, SlidesConfig(**options), labels)


def keys(data: Slides) -> list[str]:
    return [data.index.key(i) for i in range(len(data))]


# Real files


def test_reads_the_tissue_of_a_real_slide(real_data: Path) -> None:
    data = opened(real_data / "wsi" / "cmu-1-small-region.svs")
    assert 30 < len(data) < 60
    assert len(set(data.index.groups)) == 1
    for i in (0, len(data) - 1):
        image = data[i].image
        assert image.shape == (224, 224, 3)
        assert image.dtype == np.uint8
        assert image.std() > 15


def test_a_real_slide_of_two_levels_needs_to_be_told_its_resolution(real_data: Path) -> None:
    path = real_data / "wsi" / "tcga-cr-7395-01a-01-ts1.svs"
    with pytest.raises(DataError, match=r"microns a pixel has; set data\.options\.assume_mpp"):
        opened(path)
    fine, coarse = (opened(path, assume_mpp=0.5, mpp=mpp, tile=128) for mpp in (0.5, 1.0))
    assert len(fine) > 3 * len(coarse) > 30
    assert coarse.read(0).shape == (128, 128, 3)


def test_the_files_of_a_dicom_slide_are_one_slide(real_data: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        shutil.copy(real_data / "wsi" / f"boxes_{number}.dcm", tmp_path)
    data = opened(tmp_path, tile=16, min_tissue=0)
    assert keys(data) == ["boxes_0.dcm#0,0"]
    assert data.read(0).shape == (16, 16, 3)


def test_a_strip_tiff_is_refused_with_a_cure(real_data: Path) -> None:
    with pytest.raises(DataError, match=r"'kidney-48-5.tif' is no slide .*vips tiffsave"):
        opened(real_data / "wsi" / "kidney-48-5.tif")


def test_a_mixed_folder_keeps_what_can_be_used(
    real_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ssl_kit"):
        data = opened(real_data / "wsi")
    assert "3 of 6 slides cannot be used: 'boxes.tiff'" in caplog.text
    broken = [key for key in keys(data) if "#" not in key]
    assert broken == ["boxes.tiff", "kidney-48-5.tif", "tcga-cr-7395-01a-01-ts1.svs"]
    with pytest.raises(DataError, match="assume_mpp"):
        data[keys(data).index("boxes.tiff")]


# Resolution


@pytest.mark.parametrize("mpp", [0.499, 0.51])
def test_a_level_nearly_as_asked_is_read_as_it_is(write: Write, mpp: float, tissue: Make) -> None:
    image = tissue(200, 330)
    data = opened(write(image, mpp=mpp), tile=64)
    assert data.index.positions.tolist() == [[r, c] for r in range(3) for c in range(5)]
    for i, (row, col) in enumerate(data.index.positions.astype(int) * 64):
        assert np.array_equal(data.read(i), image[row : row + 64, col : col + 64])


def test_another_resolution_is_resized_from_the_level_above(write: Write, tissue: Make) -> None:
    image = tissue(400, 400)
    data = opened(write(image, mpp=0.25, levels=2), mpp=0.75, tile=64)
    level = cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(level[:96, 96:192], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.array_equal(data.read(1), expected)
    assert keys(data) == ["a.tif#0,0", "a.tif#0,1", "a.tif#1,0", "a.tif#1,1"]


def test_the_coarsest_level_that_is_fine_enough_is_read(write: Write, tissue: Make) -> None:
    path = write(tissue(512, 512), mpp=0.25, levels=3)
    levels = [opened(path, mpp=mpp, tile=32)._tilings[0].level for mpp in (0.25, 0.4, 0.5, 1, 4)]
    assert levels == [0, 0, 1, 2, 2]


def test_a_slide_is_enlarged_twice_at_most(write: Write, tissue: Make) -> None:
    path = write(tissue(200, 200), mpp=0.5)
    assert len(opened(path, mpp=0.25, tile=64)) == 36
    with pytest.raises(DataError, match=r"has 0.5 microns per pixel, much coarser than .*mpp 0.2"):
        opened(path, mpp=0.2, tile=64)


def test_a_tile_from_too_many_pixels_is_refused(write: Write, tissue: Make) -> None:
    with pytest.raises(DataError, match=r"read from 16000 x 16000 pixels"):
        opened(write(tissue(100, 100), mpp=0.1), mpp=100, tile=16)


@pytest.mark.parametrize("mpp", [None, 300.0])
def test_resolution_of_a_slide_that_does_not_say(
    write: Write, mpp: float | None, tissue: Make
) -> None:
    path = write(tissue(200, 200), mpp=mpp)  # 300 microns are a screen's
    with pytest.raises(DataError, match=r"set data\.options\.assume_mpp"):
        opened(path, tile=64)
    assert len(opened(path, tile=64, assume_mpp=0.25, mpp=0.5)) == 1


def test_what_a_slide_says_is_not_assumed_otherwise(write: Write, tissue: Make) -> None:
    path = write(tissue(128, 128), mpp=0.5)
    assert len(opened(path, tile=64, assume_mpp=0.125)) == 4


# Tissue and tiles


@pytest.fixture
def half_tissue(glass: Make, tissue: Make) -> np.ndarray:
    image = glass(256, 256)
    image[:, 128:] = tissue(256, 128)
    return image


def test_only_tiles_with_tissue_are_kept(write: Write, half_tissue: np.ndarray) -> None:
    path = write(half_tissue)
    assert opened(path, tile=64).index.positions[:, 1].tolist() == [2, 3] * 4
    assert len(opened(path, tile=64, min_tissue=0)) == 16
    assert len(opened(path, tile=128, stride=64, min_tissue=0.4)) == 6


def test_an_empty_slide_says_so(write: Write, glass: Make) -> None:
    with pytest.raises(
        DataError,
        match=r"No slide .* at most 0 % of a tile.*Lower data\.options",
    ):
        opened(write(glass(256, 256)))


def test_the_table_of_slides_names_those_without_tiles_and_why(
    write: Write, tissue: Make, glass: Make
) -> None:
    half = glass(128, 128)
    half[:16] = tissue(16, 128)
    write(half, "in/a_pale.tif")
    write(tissue(32, 32), "in/b_small.tif")
    folder = write(tissue(256, 128), "in/c.tif").parent
    heading, *rows = opened(folder, tile=64).details()
    assert heading == ("slide", "tiles", "of rows x columns", "why none")
    assert [row[:3] for row in rows] == [
        ("a_pale.tif", "0", "2 x 2"),
        ("b_small.tif", "0", "0 x 0"),
        ("c.tif", "8", "4 x 2"),
    ]
    assert "at most 25 % of a tile, and data.options.min_tissue is 50 %" in rows[0][3]
    assert "smaller than a tile of 64 pixels at 0.5 microns per pixel" in rows[1][3]


def test_tiles_may_overlap(write: Write, tissue: Make) -> None:
    image = tissue(128, 128)
    data = opened(write(image), tile=64, stride=32)
    assert len(data) == 9
    assert np.array_equal(data.read(5), image[32:96, 64:128])


@pytest.mark.parametrize("method", [macenko, reinhard])
def test_the_stain_of_the_slide_is_normalized_if_asked_for(
    write: Write, tissue: Make, method: Callable[..., np.ndarray]
) -> None:
    path = write(tissue(128, 128))
    plain = opened(path, tile=64)
    normalized = opened(path, tile=64, stain=method.__name__)
    seen = np.concatenate([plain.read(i).reshape(-1, 1, 3)[::6] for i in range(4)])
    for i in range(4):
        assert np.array_equal(normalized.read(i), method(plain.read(i), seen))
        assert not np.array_equal(normalized.read(i), plain.read(i))


def test_opened_again_it_is_the_same(write: Write, half_tissue: np.ndarray) -> None:
    path = write(half_tissue)
    first, second = opened(path, tile=64), opened(path, tile=64)
    assert first.fingerprint() == second.fingerprint()
    assert np.array_equal(first.read(3), second.read(3))


# What it opens


def test_accepts_slides_and_leaves_patches_to_the_image_folder(
    write: Write, tmp_path: Path, tissue: Make
) -> None:
    slide = write(tissue(64, 64), "slides/a.tif")
    patches = tmp_path / "patches"
    patches.mkdir()
    cv2.imwrite(str(patches / "a.tif"), tissue(64, 64))
    cv2.imwrite(str(patches / "a.png"), tissue(64, 64))
    assert Slides.accepts(slide)
    assert Slides.accepts(slide.parent)
    assert not Slides.accepts(patches)
    (patches / "b.SVS").touch()
    assert Slides.accepts(patches)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"II*\0\x08\0\0\0"])
@pytest.mark.parametrize("name", ["a.svs", "a.ndpi", "a.mrxs", "a.tif", "a.dcm"])
def test_garbage_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name) as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_slide_that_is_cut_off_is_refused(real_data: Path, tmp_path: Path, share: float) -> None:
    data = (real_data / "wsi" / "cmu-1-small-region.svs").read_bytes()
    (tmp_path / "a.svs").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"'a.svs' is (damaged|no slide)"):
        opened(tmp_path)


def test_damaged_tiles_do_not_spoil_the_others(real_data: Path, tmp_path: Path) -> None:
    data = bytearray((real_data / "wsi" / "cmu-1-small-region.svs").read_bytes())
    data[700_000:800_000] = bytes(100_000)
    (tmp_path / "a.svs").write_bytes(data)
    slides = opened(tmp_path, min_tissue=0)
    good = len(slides) - 1
    slides.read(good)
    bad = next(i for i in range(len(slides)) if not _readable(slides, i))
    with pytest.raises(DataError, match="is damaged or cut off"):
        slides[bad]
    assert slides[good].image.shape == (224, 224, 3)


def _readable(slides: Slides, i: int) -> bool:
    try:
        slides.read(i)
    except DataError:
        return False
    return True


def test_one_slide_of_three_may_be_broken(write: Write, tissue: Make) -> None:
    for name in ("a.tif", "b.tif"):
        folder = write(tissue(128, 192), f"in/{name}").parent
    (folder / "c.tif").write_bytes(b"garbage")
    data = opened(folder, tile=64)
    assert keys(data)[-1] == "c.tif"
    with pytest.raises(DataError, match="is no slide that OpenSlide opens"):
        data[len(data) - 1]


# Processes and memory


def test_survives_forking(write: Write, tissue: Make) -> None:
    data = opened(write(tissue(128, 128)), tile=64)
    expected = data.read(2)  # opens the slide in this process
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(data.read(2)))
    child.start()
    assert np.array_equal(queue.get(), expected)
    child.join()


def test_travels_without_its_open_slides(write: Write, tissue: Make) -> None:
    data = opened(write(tissue(128, 128)), tile=64)
    image = data.read(2)
    assert np.array_equal(pickle.loads(pickle.dumps(data)).read(2), image)


@pytest.mark.slow
def test_a_spawned_process_reads_the_same(write: Write, tissue: Make) -> None:
    data = opened(write(tissue(128, 128)), tile=64)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(methodcaller("read", 2), (data,))  # the child cannot import this file
    assert np.array_equal(there, data.read(2))
