"""The checker is checked: each broken plugin breaks one rule, and is told why."""

import re

import broken_datasets as broken
import pytest

from ssl_kit.plugins.datasets.digits import Digits
from ssl_kit.plugins.datasets.image_folder import ImageFolder
from ssl_kit.testing import datasets

RULES = datasets.RULES
BROKEN = [
    ("declares_itself", broken.SilentOption, "scale"),
    ("accepts_no_foreign_folder", broken.AcceptsAll, "looks for the endings"),
    ("rejects_garbage", broken.LetsErrorsThrough, "bad.pgm raises TypeError.*DataError"),
    ("rejects_garbage", broken.ReadsGarbage, "is read as an image; raise ssl_kit.DataError"),
    ("index_is_consistent", broken.LabelsAstray, "labels are not from -1 to 1; use Index.build"),
    ("index_is_consistent", broken.SameKeys, "two images have the same key"),
    ("images_keep_to_the_contract", broken.Augments, "random to the domain's policies"),
    ("images_keep_to_the_contract", broken.ScalesItself, "leave the scaling to"),
    ("keeps_the_value_range", broken.ForgetsTheRange, "pass `value_range` to super"),
]


def test_there_is_a_broken_plugin_for_each_rule():
    assert list(dict.fromkeys(rule for rule, _, _ in BROKEN)) == [r.__name__ for r in RULES]


@pytest.mark.parametrize("plugin", [broken.Sound, Digits, ImageFolder])
def test_a_sound_plugin_breaks_none(check, plugin):
    assert check(RULES, plugin) == {}


@pytest.mark.parametrize(("rule", "plugin", "cause"), BROKEN)
def test_a_broken_plugin_breaks_its_rule_only_and_is_told_why(check, rule, plugin, cause):
    found = check(RULES, plugin)
    assert list(found) == [rule], found
    assert re.search(cause, found[rule]), found[rule]


def test_an_example_must_be_accepted(check):
    found = check([datasets.index_is_consistent], broken.NotItsOwn)
    assert "does not accept the files of its `example`" in found["index_is_consistent"]


def test_what_writes_no_example_is_told_how_to_be_checked():
    remark = datasets.index_is_consistent(broken.NoExample)
    assert "give the class a classmethod `example(folder)`" in remark
    assert datasets.images_keep_to_the_contract(broken.NoExample) == remark


def test_a_demo_has_no_files_to_keep_a_range_for():
    assert datasets.keeps_the_value_range(Digits) == "not checked: it opens no files"
