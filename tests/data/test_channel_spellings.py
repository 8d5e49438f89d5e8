"""Names of channels that users give, in the spelling of a domain."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_kit.core.discovery import datasets, domains
from ssl_kit.data.channel_spellings import unknown_names, with_standard_names
from ssl_kit.data.inspection import inspect_dataset
from ssl_kit.data.opening import DataConfig, open_dataset
from ssl_kit.data.splits import split

KNOWN = {"red": "red", "swir1": "swir_1", "swir2": "swir_2", "b12": "swir_2"}


@pytest.fixture
def domain():
    return replace(domains["natural"], datasets=("arrays",), channel_names=KNOWN)


def spelled(domain, *names):
    reader = datasets["arrays"]
    options, remarks = with_standard_names(domain, reader, {"channels": list(names)})
    opened = SimpleNamespace(
        options=reader.Config(**options), channels=options["channels"], naming=reader.naming
    )
    return options["channels"], " ".join([*remarks, *unknown_names(domain, opened)])


@pytest.mark.parametrize("name", ["swir2", "SWIR-2", "Swir 2", "B12"])
def test_other_spellings_are_understood_and_said(domain, name):
    names, remark = spelled(domain, "red", name)
    assert names == ["red", "swir_2"]
    assert f"'{name}' as 'swir_2'" in remark


def test_names_of_the_domain_stay(domain):
    assert spelled(domain, "red", "swir_2") == (["red", "swir_2"], "")


def test_a_slip_is_asked_about(domain):
    names, remark = spelled(domain, "red", "siwr_2")
    assert names == ["red", "siwr_2"]
    assert "'siwr_2' is no name of a channel that the domain natural knows" in remark
    assert "Did you mean 'swir_2'?" in remark


def test_band_numbers_are_named(domain):
    assert (
        "does not know the channels B2, B3; it knows red, swir_1" in spelled(domain, "B2", "B3")[1]
    )


def test_names_that_have_nothing_to_do_with_the_domain_are_left_alone(domain):
    assert spelled(domain, "phase", "dem") == (["phase", "dem"], "")


def test_inspect_warns_of_a_slip(domain, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.integers(0, 255, (8, 12, 12, 2), np.uint8))
    config = DataConfig(path=str(tmp_path / "a.npy"), options={"channels": ["swir1", "siwr_2"]})
    dataset = open_dataset(domain, config)
    assert dataset.channels == ("swir_1", "siwr_2")
    facts = inspect_dataset(dataset, split(dataset.index, 0.2))
    assert any("Did you mean 'swir_2'?" in warning for warning in facts.warnings)
    assert any("'swir1' as 'swir_1'" in remark for remark in facts.remarks)
