"""Pictures as people have them: other formats, other depths, pages, bytes behind the end."""

import io
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, features

from ssl_kit import DataError
from ssl_kit.data import in_other_depth
from ssl_kit.plugins.datasets.image_folder import ImageFolder, ImageFolderConfig


def picture(seed=0, side=24, bands=3):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (4, 4, bands), dtype=np.uint8)
    return cv2.resize(coarse, (side, side)).reshape(side, side, bands)


def encoded(kind, image=None, **how):
    buffer = io.BytesIO()
    Image.fromarray((picture() if image is None else image).squeeze()).save(buffer, kind, **how)
    return buffer.getvalue()


def one(folder, data, name="a.jpg"):
    (folder / name).write_bytes(data)
    return ImageFolder(folder)


def test_16_bits_among_8_bits_keep_their_own_range(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(encoded("PNG", picture(i)))
    cv2.imwrite(str(tmp_path / "deep.png"), picture(9).astype(np.uint16)[..., ::-1] * 257)
    data = ImageFolder(tmp_path)
    assert np.array_equal(data.read(4), picture(9))
    assert data[4].image.dtype == data[0].image.dtype == np.uint8
    assert "1 of the 5 images looked at is uint16" in data.index.remarks[0]


def test_8_bits_among_16_bits_become_16_bits():
    image = np.array([[0, 1, 255]], np.uint8)
    assert in_other_depth(image, np.dtype(np.uint16)).tolist() == [[0, 257, 65535]]
    with pytest.raises(DataError, match="is float32 where most images are uint8"):
        in_other_depth(np.zeros((1, 1), np.float32), np.dtype(np.uint8))


def test_floats_among_8_bits_are_unreadable(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(encoded("PNG", picture(i, bands=1)))
    cv2.imwrite(str(tmp_path / "f.tif"), np.ones((24, 24), np.float32))
    data = ImageFolder(tmp_path)
    with pytest.raises(DataError, match="float32"):
        data.read(4)
    assert any("they count as unreadable" in remark for remark in data.index.remarks)


def test_images_of_16_bits_keep_the_range_of_a_run_on_8_bits(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture().astype(np.uint16)[..., ::-1] * 257)
    data = ImageFolder(tmp_path, value_range=np.tile([0.0, 255.0], (3, 1)))
    assert np.array_equal(data[0].image, picture())


@pytest.mark.parametrize(("first", "others", "width"), [(1, 3, 3), (3, 1, 1)])
def test_most_images_decide_on_the_channels(tmp_path, first, others, width):
    for i in range(5):
        image = picture(i, bands=others if i else first)
        (tmp_path / f"{i}.png").write_bytes(encoded("PNG", image))
    data = ImageFolder(tmp_path)
    assert data.read(0).shape[2] == len(data.channels) == width
    assert "1 of the 5 images looked at is" in data.index.remarks[0]
    assert not ImageFolder(tmp_path, ImageFolderConfig(channels="rgb")).index.remarks


KINDS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_behind_the_end_do_not_matter(tmp_path, kind):
    whole = one(tmp_path, encoded(kind)).read(0)
    behind = encoded("JPEG") + bytes(8000)
    assert np.array_equal(one(tmp_path, encoded(kind) + behind).read(0), whole)


@pytest.mark.parametrize("share", [0.5, 0.98])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_is_unreadable(tmp_path, kind, share):
    data = encoded(kind, picture(side=96))
    folder = one(tmp_path, data[: int(share * len(data))])
    with pytest.raises(DataError, match=r"cut off|truncated|damaged"):
        folder.read(0)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image(tmp_path):
    thumbnail = b"Exif\0\0" + encoded("JPEG", picture(side=8))
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    image = encoded("JPEG")
    data = image[:2] + segment + image[2:]
    assert one(tmp_path, data).read(0).shape == (24, 24, 3)
    with pytest.raises(DataError, match="cut off"):
        one(tmp_path, data[: 2 + len(segment)]).read(0)
    with pytest.raises(DataError, match="cut off"):
        one(tmp_path, data[:-2]).read(0)


def test_gifs_are_read(tmp_path):
    (tmp_path / "a.gif").write_bytes(encoded("GIF", picture(bands=1)))
    assert np.array_equal(ImageFolder(tmp_path).read(0), picture(bands=1))


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_avif_is_read(tmp_path):
    (tmp_path / "a.avif").write_bytes(encoded("AVIF", quality=100))
    error = ImageFolder(tmp_path).read(0).astype(int) - picture()
    assert np.abs(error).mean() < 3


def test_a_file_that_pillow_cannot_decode_says_what_it_is(tmp_path):
    folder = one(tmp_path, b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(DataError, match=r"'heic'.*convert it to PNG"):
        folder.read(0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_further_frames_are_remarked(tmp_path, kind):
    more = [Image.fromarray(255 - picture())]
    data = one(tmp_path, encoded(kind, save_all=True, append_images=more))
    assert "only the first frame is used" in data.index.remarks[0]


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_a_tiff_are_images_of_one_group(tmp_path, big):
    pages = [picture(i, bands=1) for i in range(3)]
    first, *others = (Image.fromarray(page.squeeze()) for page in pages)
    first.save(tmp_path / "s.tif", save_all=True, append_images=others, big_tiff=big)
    (tmp_path / "t.png").write_bytes(encoded("PNG", picture(7, bands=1)))
    data = ImageFolder(tmp_path)
    assert [data.index.key(i) for i in range(4)] == ["s.tif[0]", "s.tif[1]", "s.tif[2]", "t.png"]
    assert all(np.array_equal(data.read(i), page) for i, page in enumerate(pages))
    assert len(np.unique(data.index.groups)) == 2
    assert "1 TIFF files have several pages, 3 together" in data.index.remarks[0]


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate"])
def test_a_page_is_read_without_the_others(tmp_path, compression):
    noise = np.random.default_rng(0).integers(0, 255, (8, 256, 256, 4), np.uint8)
    first, *others = map(Image.fromarray, noise)
    how = {"save_all": True, "append_images": others, "compression": compression}
    first.save(tmp_path / "stack.tif", **how)
    data = ImageFolder(tmp_path)
    tracemalloc.start()
    page = data.read(7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(page, noise[7, ..., :3])
    assert peak < noise.nbytes / 2


def test_smaller_copies_in_a_tiff_are_no_pages(tmp_path):
    first, small = Image.fromarray(picture()), Image.fromarray(picture(side=12))
    first.save(tmp_path / "s.tif", save_all=True, append_images=[small])
    data = ImageFolder(tmp_path)
    assert len(data) == 1
    assert "1 pages of TIFF files are masks or smaller copies" in data.index.remarks[0]


def test_exif_turns_an_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = one(tmp_path, encoded("JPEG", picture()[:, :16], exif=exif))
    assert data.read(0).shape == (16, 24, 3)
    assert data.orientation(0) == 6


def test_the_largest_value_of_a_pgm_is_white(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5\n# by hand\n2 2\n15\n\x00\x05\x0a\x0f")
    assert ImageFolder(tmp_path).read(0).ravel().tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize(
    ("dtype", "fill"), [("float32", -9999), ("int16", -9999), ("uint16", 65535)]
)
def test_fill_values_of_deep_images_are_missing(tmp_path, dtype, fill):
    image = (np.random.default_rng(0).random((64, 64)) * 1000).astype(dtype)
    image[:9] = fill
    cv2.imwrite(str(tmp_path / "a.tif"), image)
    data = ImageFolder(tmp_path)
    assert 0 <= data.value_range.min() < data.value_range.max() <= 1000
    assert np.isnan(data.read(0)[:9]).all()
    assert str(fill) in data.index.remarks[0]


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_the_values_of_a_tiff_are_right_or_it_is_refused(tmp_path, bands, dtype, planes):
    pixels = picture(bands=bands).astype(dtype)
    stored = pixels.transpose(2, 0, 1) if planes == "separate" else pixels
    how = {"photometric": "rgb" if bands > 2 else "minisblack", "planarconfig": planes}
    tifffile.imwrite(tmp_path / "a.tif", np.ascontiguousarray(stored.squeeze()), **how)
    data = ImageFolder(tmp_path)
    if bands == 1 or (dtype == "uint8" and (bands, planes) != (2, "separate")):
        assert np.array_equal(data.read(0), pixels[..., : 1 if bands < 3 else 3])
    elif bands == 2 or planes == "separate":
        with pytest.raises(DataError, match=r"is a TIFF of|damaged"):
            data.read(0)
    else:
        assert np.array_equal(data.read(0), pixels[..., :3])
    assert any("fourth is left out" in line for line in data.index.remarks) == (
        bands == 4 and (planes == "contig" or dtype == "uint8")
    )


def test_a_tiff_of_many_channels_names_the_reader_that_takes_them(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 5), np.uint16), planarconfig="contig")
    with pytest.raises(DataError, match=r"5 channels of 16 bits.*remote_sensing"):
        ImageFolder(tmp_path).read(0)


def test_gray_with_alpha_is_gray(tmp_path):
    gray = Image.fromarray(picture(bands=1)[..., 0])
    gray.convert("LA").save(tmp_path / "a.png")
    data = ImageFolder(tmp_path)
    assert data.channels == ("gray",)
    assert np.array_equal(data.read(0), picture(bands=1))
