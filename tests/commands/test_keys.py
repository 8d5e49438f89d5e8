import pytest

from ssl_kit import SslKitError
from ssl_kit.commands.terminal.keys import check_evaluations, check_images, check_run


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
