"""The checker is checked: each broken plugin breaks one rule, and is told why."""

import re
from dataclasses import replace
from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field

from ssl_kit.evaluation import Estimate
from ssl_kit.plugins.evaluations.knn import KNN, KNNConfig
from ssl_kit.testing import evaluations

RULES = evaluations.RULES


class SilentOption(KNN):
    """Has an option that nobody explains."""

    class Config(KNNConfig):
        weight: Annotated[float, Field(ge=0)] = 1.0


class Outside(KNN):
    """Takes the interval from other images than the value."""

    def evaluate(self, model, data):
        return replace(super().evaluate(model, data), metrics={"accuracy": Estimate(0.9, 0.5, 0.6)})


class Nothing(KNN):
    """Divides by the number of images of a class that has none."""

    def evaluate(self, model, data):
        empty = Estimate(float("nan"), float("nan"), float("nan"))
        return replace(super().evaluate(model, data), metrics={"accuracy": empty})


class Undrawn(KNN):
    """Reports a main metric that nobody can take the difference of."""

    def evaluate(self, model, data):
        return replace(super().evaluate(model, data), jackknife={})


class Unnamed(KNN):
    """Prefers arms by a metric that it does not report."""

    def evaluate(self, model, data):
        return replace(super().evaluate(model, data), main="acuracy")


class Unseeded(KNN):
    """Draws from a generator that nobody seeds."""

    def evaluate(self, model, data):
        found = super().evaluate(model, data)
        off = np.random.default_rng().normal()
        metrics = {
            name: Estimate(e.value + off, e.low + off, e.high + off)
            for name, e in found.metrics.items()
        }
        return replace(found, metrics=metrics)


class KeepsAnArray(KNN):
    """Puts what JSON does not have into the details."""

    def evaluate(self, model, data):
        return replace(super().evaluate(model, data), details={"k": np.int64(3)})


class Numbered(KNN):
    """Calls a metric by a number."""

    def evaluate(self, model, data):
        result = super().evaluate(model, data)
        return replace(result, metrics={**result.metrics, 5: Estimate(0.5, 0.4, 0.6)})


class TunesTheEncoder(KNN):
    """Trains the encoder that the next evaluation will get."""

    def evaluate(self, model, data):
        found = super().evaluate(model, data)
        with torch.no_grad():
            next(model.encoder.parameters()).mul_(1.01)
        return found


class SeedsEverything(KNN):
    """Seeds the random numbers that everybody draws from."""

    def evaluate(self, model, data):
        np.random.seed(0)
        return super().evaluate(model, data)


BROKEN = [
    ("declares_itself", SilentOption, "weight"),
    ("estimates_are_sound", Outside, "outside its interval"),
    ("estimates_are_sound", Nothing, "accuracy is nan"),
    ("arms_can_be_compared", Undrawn, "is not in the result's jackknife"),
    ("arms_can_be_compared", Unnamed, "'acuracy' is not reported"),
    ("estimates_are_the_same_again", Unseeded, "seed what is random"),
    ("results_can_be_stored", KeepsAnArray, "keep plain values in rows and details"),
    ("results_can_be_stored", Numbered, "names of metrics are no texts"),
    ("leaves_the_encoder_alone", TunesTheEncoder, "fine-tune a copy"),
    ("leaves_random_states_alone", SeedsEverything, "random state of numpy"),
]


def test_there_is_a_broken_plugin_for_each_rule():
    assert list(dict.fromkeys(rule for rule, _, _ in BROKEN)) == [r.__name__ for r in RULES]


def test_a_sound_plugin_breaks_none(check):
    assert check(RULES, KNN) == {}


@pytest.mark.parametrize(("rule", "plugin", "cause"), BROKEN)
def test_a_broken_plugin_breaks_its_rule_only_and_is_told_why(check, rule, plugin, cause):
    found = check(RULES, plugin)
    assert list(found) == [rule], found
    assert re.search(cause, found[rule]), found[rule]
