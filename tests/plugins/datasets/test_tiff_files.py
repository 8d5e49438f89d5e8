"""TIFF files as programs of microscopes and remote sensing write them."""

import numpy as np
import pytest
import tifffile

from ssl_kit import DataError
from ssl_kit.plugins.datasets.image_folder import ImageFolder
from ssl_kit.plugins.datasets.tiff_pages import pages_of

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 4000, (5, 20, 24)).astype(np.uint16)
COLORS = RNG.integers(0, 255, (5, 20, 24, 3), np.uint8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_where_0_is_white_values_are_inverted(tmp_path, dtype, order):
    pixels = RNG.integers(0, 120, (20, 24)).astype(dtype) / (np.float32(127) if "f" in dtype else 1)
    pixels = pixels.astype(dtype)
    stored = 1 - pixels if "f" in dtype else np.invert(pixels)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", byteorder=order)
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="minisblack", byteorder=order)
    data = ImageFolder(tmp_path)
    assert np.allclose(data.read(0)[..., 0], pixels, rtol=0, atol=1e-6)
    assert np.array_equal(data.read(1)[..., 0], pixels)


@pytest.mark.parametrize(
    ("stack", "how"),
    [
        (STACK, {"imagej": True}),
        (STACK, {"imagej": True, "byteorder": "<"}),
        (STACK.astype(np.float32), {"imagej": True}),
        (COLORS, {"imagej": True}),
        (STACK, {}),
        (STACK, {"bigtiff": True, "rowsperstrip": 7}),
        (STACK, {"photometric": "minisblack", "byteorder": ">"}),
        (COLORS, {"photometric": "rgb"}),
    ],
)
def test_the_planes_of_a_stack_with_one_directory_are_images(tmp_path, stack, how):
    tifffile.imwrite(tmp_path / "s.tif", stack, truncate=True, **how)
    data = ImageFolder(tmp_path)
    assert len(data) == 5
    assert len(data.index.group_names) == 1
    assert all(np.array_equal(data.read(i).squeeze(), plane) for i, plane in enumerate(stack))
    assert "1 TIFF files have several pages, 5 together" in data.index.remarks[0]


def test_planes_that_are_cut_off_are_counted(tmp_path):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, STACK, imagej=True, truncate=True)
    path.write_bytes(path.read_bytes()[: -STACK[0].nbytes])
    data = ImageFolder(tmp_path)
    assert len(data) == 4
    assert "declares 1 plane that is not used" in data.index.remarks[0]


def test_a_stack_that_lists_its_pages_declares_no_others(tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", STACK, imagej=True)
    pages = pages_of(tmp_path / "s.tif")
    assert (len(pages), pages.stack) == (5, None)


@pytest.mark.parametrize(
    ("dtype", "compression", "reason"),
    [
        ("float16", 1, "16-bit floats, .* remote_sensing"),
        ("complex64", 1, "complex numbers of 64 bits, .* sar"),
        ("uint8", 34887, "compressed by LERC, .* remote_sensing"),
        ("uint8", 34712, "compressed by JPEG 2000, .* save it"),
        ("uint16", 52546, "compressed by JPEG XL, .* save it"),
        ("uint8", 60000, "compressed by code 60000, .* save it"),
    ],
)
def test_numbers_and_compressions_that_cannot_be_decoded_are_named(
    tmp_path, dtype, compression, reason
):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0].astype(dtype))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags[259].overwrite(compression)
    with pytest.raises(DataError, match=reason):
        ImageFolder(tmp_path).read(0)
