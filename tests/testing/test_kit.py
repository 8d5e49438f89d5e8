import itertools

import pytest

from ssl_kit import PluginError, UnknownNameError
from ssl_kit.testing import (
    checks_for,
    everything,
    find,
    kit,
    parametrize_with_checks,
    run_checks,
    summary,
)
from ssl_kit.testing.kit import REGISTRIES


@pytest.fixture
def rules(monkeypatch):
    """Puts rules in place of those for evaluations."""

    def use(*functions):
        monkeypatch.setattr("ssl_kit.testing.evaluations.RULES", functions)

    return use


def fine(kind):
    """It is fine."""


def remarkable(kind):
    """It is noted."""
    return "nothing was looked at"


def broken(kind):
    """It never holds."""
    kit.require(False, "it is broken; mend it")


def careless(kind):
    """It raises what it should not."""
    raise TypeError("on two\nlines")


def test_each_rule_has_a_sentence_that_says_what_must_hold():
    for kind, plugin in (("objective", "simclr"), ("domain", "natural"), ("dataset", "digits"),
                         ("encoder", "timm"), ("evaluation", "knn"),
                         ("recipe", "moco")):  # fmt: skip
        checks = checks_for(kind, plugin)
        assert len({check.rule for check in checks}) == len(checks)
        assert all(check.rule.endswith(".") for check in checks)


def test_what_a_rule_says_is_kept(rules):
    rules(fine, remarkable, broken)
    _, good, noted, bad = run_checks("evaluation", "knn")
    assert (good.problem, good.remark) == ("", "")
    assert (noted.problem, noted.remark) == ("", "nothing was looked at")
    assert bad.problem == "it is broken; mend it"
    assert all(outcome.seconds >= 0 for outcome in (good, noted, bad))


def test_an_outcome_reads_as_a_line_and_what_follows(rules):
    rules(remarkable, broken)
    _, noted, bad = (str(outcome).splitlines() for outcome in run_checks("evaluation", "knn"))
    assert noted[0].startswith("ok")
    assert noted[0].endswith("evaluation knn: It is noted.")
    assert noted[1].strip() == "nothing was looked at"
    assert bad[0].startswith("FAILED")
    assert bad[1].strip() == "it is broken; mend it"


def test_an_unexpected_error_is_a_problem_in_one_line(rules):
    rules(careless, fine)
    _, outcome, after = run_checks("evaluation", "knn")
    assert outcome.problem == "TypeError: on two lines"
    assert after.problem == ""


def test_an_error_names_the_line_of_the_plugin(rules):
    def unlucky(kind):
        """It raises inside of the plugin."""
        kind(None).evaluate(None, None)

    rules(unlucky)
    *_, outcome = run_checks("evaluation", "knn")
    assert outcome.problem.startswith("AttributeError: ")
    assert "(knn.py, line " in outcome.problem


def test_an_explained_error_names_its_line_too(rules):
    def explained(kind):
        """It raises inside of the plugin."""
        with kit.explaining("give it something"):
            kind(None).evaluate(None, None)

    rules(explained)
    *_, outcome = run_checks("evaluation", "knn")
    assert "; give it something (knn.py, line " in outcome.problem


def test_a_plugin_that_cannot_be_imported_is_checked_no_further(register):
    register("objective", "ghost", "no_such_module:Ghost")
    (outcome,) = run_checks("objective", "ghost")
    assert outcome.check.rule == "It can be imported."
    assert "failed to load from 'no_such_module:Ghost': ModuleNotFoundError" in outcome.problem
    with pytest.raises(PluginError, match="ghost"):
        checks_for("objective", "ghost")[1]()


def test_a_name_that_is_registered_twice_is_checked_no_further(monkeypatch):
    list(REGISTRIES["evaluation"])
    monkeypatch.setitem(REGISTRIES["evaluation"]._clashes, "knn", "It is registered twice.")
    (outcome,) = run_checks("evaluation", "knn")
    assert outcome.problem == "It is registered twice."
    assert str(outcome).startswith("FAILED")


def test_rules_are_counted(rules):
    rules(fine, broken)
    assert summary(list(run_checks("evaluation", "knn"))) == "2 of 3 rules hold, 1 broken, in 0 s."


def test_everything_is_found_by_kind_and_name():
    kinds = [kind for kind, _ in itertools.groupby(everything(), key=lambda pair: pair[0])]
    assert kinds == ["objective", "domain", "dataset", "encoder", "evaluation", "recipe"]
    assert find("knn") == [("evaluation", "knn")]


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'objective'"):
        checks_for("objektive", "simclr")
    with pytest.raises(UnknownNameError, match="Did you mean 'simclr'"):
        checks_for("objective", "simclar")
    with pytest.raises(UnknownNameError, match="Did you mean 'simclr'"):
        find("simclar")


def test_pytest_gets_one_test_for_each_rule():
    mark = parametrize_with_checks("evaluation", "knn").mark
    assert mark.args[0] == "check"
    assert [str(check) for check in mark.args[1]] == [
        "can_be_imported",
        "declares_itself",
        "estimates_are_sound",
        "arms_can_be_compared",
        "estimates_are_the_same_again",
        "results_can_be_stored",
        "leaves_the_encoder_alone",
        "leaves_random_states_alone",
    ]
