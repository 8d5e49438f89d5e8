import numpy as np
import pytest

from ssl_kit.testing import parametrize_with_checks
from ssl_kit_example_name.demo import IMAGES, SIZE, WAVELENGTHS, Demo


@parametrize_with_checks("domain", "example_name")
def test_keeps_to_the_contract(check):
    check()


@parametrize_with_checks("dataset", "example_name_demo")
def test_the_demo_keeps_to_the_contract(check):
    check()


@pytest.mark.parametrize("i", range(9))
def test_stripes_have_the_wavelength_of_their_class(i):
    sample = Demo()[i]
    spectrum = np.abs(np.fft.fft2(sample.image[..., 0] - sample.image.mean()))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    cycles = np.hypot(*(min(f, SIZE - f) for f in (row, column)))  # in the width of the image
    assert cycles == pytest.approx(SIZE / WAVELENGTHS[sample.label], abs=1)


def test_classes_are_of_equal_size():
    assert (np.bincount(Demo().index.labels) == IMAGES // len(WAVELENGTHS)).all()
