"""The checker is checked: each broken recipe breaks one rule, and is told why."""

import re

import pytest

from ssl_kit import SslKitError
from ssl_kit.core.discovery import recipes
from ssl_kit.testing import recipes as rules

TEXT = recipes["moco"].read_text()
NOTHING_UNKNOWN = re.sub(r"\[\[unknown\]\]\n.*?\n\n", "", TEXT, flags=re.S)
NOTHING_SMALL = TEXT[: TEXT.index("[small.settings]")]
BROKEN = [
    (rules.can_be_read, TEXT.replace("[paper]", "[papers]"), "Did you mean 'paper'"),
    (rules.says_what_is_unknown, NOTHING_UNKNOWN, "every paper leaves something open"),
    (rules.has_small_settings, NOTHING_SMALL, "changes nothing"),
    (rules.names_what_exists, TEXT.replace('= "linear"', '= "liner"'), "Did you mean 'linear'"),
    (rules.names_what_exists, TEXT.replace('"scratch"', '"scrach"'), "has the arm scrach"),
    (rules.names_what_exists, TEXT.replace("temperature", "temprature"), "objective.temprature"),
    (rules.small_runs_can_be_built, TEXT.replace("contrast_accuracy", "skill"), "no 'skill'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text", "message"), BROKEN, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_broken_recipe_is_told_why(rule, text, message, tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text(text)
    with pytest.raises(SslKitError, match=re.escape(message)):
        rule(file)


def test_every_rule_is_broken_by_one():
    assert {rule for rule, _, _ in BROKEN} == set(rules.RULES)
