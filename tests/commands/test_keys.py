import pytest

from ssl_kit import SslKitError
from ssl_kit.commands.terminal.keys import check_evaluations, check_images, check_run
from ssl_kit.core.discovery import objectives
from ssl_kit.core.registry import Entry


def run_of(**parts):
    return {"domain": "natural", "objective": "combination", "set": {"objective": {"parts": parts}}}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"simclr": {"temprature": 1}}, "'objective.parts.simclr.temprature'. Did you mean 'temp"),
        ({"simclr": {"wight": 1}}, "Did you mean 'weight'"),
        ({"simclrr": {"weight": 1}}, "Unknown objective 'simclrr'. Did you mean 'simclr'"),
    ],
)
def test_options_of_combined_objectives_are_checked(parts, message):
    with pytest.raises(SslKitError, match=message):
        check_run(run_of(**parts))


def test_options_of_the_objective_for_weights_are_known_where_a_run_starts_from_some():
    options = {"domain": "remote_sensing", "set": {"objective": {"temperature": 0.2}}}
    check_run({**options, "init": "imagenet"})
    with pytest.raises(SslKitError, match=r"objective\.temperature"):
        check_run(options)


def test_right_options_of_combined_objectives_pass():
    check_run(run_of(simclr={"weight": 1, "temperature": 0.1}, rotation={}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"options": {"iteration": 1}}, "'few_labels.options.iteration'. Did you mean"),
        ({"evaluation": "knn", "options": {"iterations": 1}}, "'few_labels.options.iterations'"),
        ({"evaluation": "kn", "options": {}}, "Unknown evaluation 'kn'. Did you mean 'knn'"),
    ],
)
def test_options_of_the_evaluation_inside_another_are_checked(options, message):
    with pytest.raises(SslKitError, match=message):
        check_evaluations({"evaluation": "few_labels", "set": {"few_labels": options}})


def test_an_unknown_option_of_a_reader_names_the_reader():
    data = {"reader": "arrays", "options": {"chanels": 1}}
    with pytest.raises(SslKitError, match="The reader arrays has: channels, "):
        check_images({"domain": "remote_sensing", "set": {"data": data}})


PLUGIN = """
from typing import Annotated

from pydantic import Field

from ssl_kit import Config, Objective
from ssl_kit.plugins.objectives import simclr


class Mine(Objective):
    "Is mine."

    class Config({base}):
        weight: Annotated[float, Field(description="weight of the loss")] = 1.0
"""


@pytest.mark.parametrize(
    ("base", "option"), [("Config", "weight"), ("simclr.SimCLRConfig", "temperature")]
)
def test_options_of_a_nested_config_and_of_a_base_in_a_module_pass(
    tmp_path, monkeypatch, base, option
):
    module = f"plugin_with_{option}"
    (tmp_path / f"{module}.py").write_text(PLUGIN.format(base=base))
    monkeypatch.syspath_prepend(tmp_path)
    list(objectives)  # filled before it is changed
    entry = Entry("mine", f"{module}:Mine", "Mine.", "a test")
    monkeypatch.setitem(objectives._entries, "mine", entry)
    check_run({"domain": "natural", "objective": "mine", "set": {"objective": {option: 0.5}}})


def test_a_wrong_option_of_a_nested_config_is_refused_with_the_right_one(tmp_path, monkeypatch):
    (tmp_path / "nested_plugin.py").write_text(PLUGIN.format(base="Config"))
    monkeypatch.syspath_prepend(tmp_path)
    list(objectives)
    entry = Entry("mine", "nested_plugin:Mine", "Mine.", "a test")
    monkeypatch.setitem(objectives._entries, "mine", entry)
    settings = {"objective": {"wieght": 0.5}}
    with pytest.raises(SslKitError, match="Did you mean 'weight'"):
        check_run({"domain": "natural", "objective": "mine", "set": settings})


@pytest.mark.parametrize("section", ["encoder", "optimizer", "data", "objective"])
def test_a_section_that_is_no_table_is_a_wrong_value(section):
    with pytest.raises(SslKitError, match=f"Wrong value for '{section}'"):
        check_run({"domain": "natural", "set": {section: 5}})


def test_images_that_are_no_table_are_a_wrong_value():
    with pytest.raises(SslKitError, match="Wrong value for 'data"):
        check_images({"domain": "natural", "set": {"data": 5}})
