import pytest

from ssl_kit.nn.channel_names import channels_in_words, spelled_alike


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (("red", "nir"), ""),
        (("nir", "red"), "matched by name: nir, red"),
        (("gray",), "the filters of red, nir were averaged for gray"),
        (("red",), "matched by name: red; not in the images: nir"),
        (
            ("red", "swir_2"),
            "matched by name: red; new: swir_2 (mean of the others); not in the images: nir",
        ),
        (
            ("red", "NIR"),
            "matched by name: red; new: NIR (mean of the others; is 'NIR' for 'nir' a slip?); "
            "not in the images: nir",
        ),
    ],
)
def test_which_channels_match_by_name(target, words):
    assert channels_in_words(("red", "nir"), target, 2) == words


def test_weights_without_names_of_channels_are_averaged_and_that_is_said():
    assert "its 4 channels have no names: each of the 2" in channels_in_words(("a",), ("a", "b"), 4)


def test_similar_names_of_different_channels_are_no_slip():
    assert spelled_alike("swir2", ["swir_1", "swir_2"]) == "swir_2"
    assert spelled_alike("swir_2", ["swir_1", "swir_2"]) == ""
