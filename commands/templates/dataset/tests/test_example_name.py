import cv2
import numpy as np
import pytest

from ssl_kit import DataError
from ssl_kit.testing import parametrize_with_checks
from ssl_kit_example_name.dataset import decode


@parametrize_with_checks("dataset", "example_name")
def test_keeps_to_the_contract(check):
    check()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_reads_what_opencv_wrote(tmp_path, kind):
    image = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (5, 7), kind, endpoint=True)
    cv2.imwrite(str(tmp_path / "image.pgm"), image)
    found = decode((tmp_path / "image.pgm").read_bytes())
    assert found.dtype == kind
    assert np.array_equal(found[..., 0], image)


def test_reads_a_file_written_by_hand():
    found = decode(b"P5 # a comment\n3 2\n# another\n255\n" + bytes([0, 1, 2, 10, 11, 255]))
    assert found[..., 0].tolist() == [[0, 1, 2], [10, 11, 255]]


def test_a_file_that_is_cut_off_is_refused():
    with pytest.raises(DataError, match="cut off"):
        decode(b"P5 3 2 255\n" + bytes(5))
