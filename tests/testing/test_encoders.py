"""The checker is checked: each broken plugin breaks one rule, and is told why."""

import re

import pytest
import torch
from torch import nn

from ssl_kit.core.encoder import Encoder
from ssl_kit.plugins.encoders.timm import TimmEncoder
from ssl_kit.testing import encoders

RULES = encoders.RULES


class Sound(TimmEncoder):
    """None: all rules hold."""

    example = ("test_resnet",)


class Silent(Sound):
    __doc__ = ""


class TakesAnyName(Sound):
    """Falls back to what it knows."""

    def __init__(self, architecture, channels, size):
        super().__init__("test_resnet", channels, size)


class WrongWidth(Sound):
    """Reports the width of another layer."""

    def __init__(self, *args):
        super().__init__(*args)
        self.num_features += 1


class ThreeChannels(Sound):
    """Builds for color images, whatever was asked for."""

    def __init__(self, architecture, channels, size):
        super().__init__(architecture, 3, size)
        self.channels = channels


class NoTokens(Sound):
    """Promises tokens that it has not."""

    def __init__(self, *args):
        super().__init__(*args)
        self.provides |= {"tokens"}

    def forward_tokens(self, x, keep=None):
        if keep is not None:
            raise NotImplementedError("tokens")
        return self(x)[:, None]


class CoarsestFirst(Sound):
    """Turns the pyramid round."""

    def forward_features(self, x):
        pooled, pyramid = super().forward_features(x)
        return pooled, pyramid[::-1]


class WeightsOutside(Sound):
    """Has a layer that is not shipped."""

    def __init__(self, *args):
        super().__init__(*args)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.body(x) * self.scale

    def forward_features(self, x):
        pooled, pyramid = super().forward_features(x)
        return pooled * self.scale, pyramid


class KeepsItsToken(Sound):
    """Pools the class token, whatever is trained."""

    example = ("test_vit",)

    def pool_from(self, part):
        pass


class ForgetsItsPooling(KeepsItsToken):
    """Does not say what it changed."""

    def pool_from(self, part):
        options, arguments = self.options, self.arguments
        TimmEncoder.pool_from(self, part)
        self.options, self.arguments = options, arguments


class Waves(Encoder):
    """An encoder of signals (B, C, 1, T)."""

    example = ("waves",)

    def __init__(self, architecture, channels, size):
        super().__init__(architecture, channels, size)
        if architecture != "waves":
            from ssl_kit import UnknownNameError

            raise UnknownNameError("architecture", architecture, ["waves"])
        self.body, self.num_features = nn.Conv1d(channels, 8, 5), 8

    def forward(self, x):
        return self.body(x.squeeze(2)).mean(dim=2)


class NobodyKnows(Waves):
    """Does not say what it can build."""

    example = ()


BROKEN = [
    ("declares_itself", Silent, "no docstring"),
    ("refuses_unknown_architectures", TakesAnyName, "raise ssl_kit.UnknownNameError"),
    ("features_are_rows", WrongWidth, r"not \(B, D\) = \(2, 97\); set `num_features`"),
    ("features_are_rows", ThreeChannels, "with 1 channels; the first layer takes C"),
    ("provides_what_it_says", NoTokens, "`provides`; leave out what it does not have"),
    ("provides_what_it_says", CoarsestFirst, "the finest map comes first"),
    ("body_holds_the_weights", WeightsOutside, "only `body` is shipped"),
    ("pools_what_is_trained", KeepsItsToken, "pool the map, or raise"),
    ("pools_what_is_trained", ForgetsItsPooling, "into `options` and `arguments`"),
]


def test_there_is_a_broken_plugin_for_each_rule():
    assert list(dict.fromkeys(rule for rule, _, _ in BROKEN)) == [r.__name__ for r in RULES]


@pytest.mark.parametrize("plugin", [Sound, Waves])  # timm: test_conformance.py
def test_a_sound_plugin_breaks_none(check, plugin):
    assert check(RULES, plugin) == {}


@pytest.mark.parametrize(("rule", "plugin", "cause"), BROKEN)
def test_a_broken_plugin_breaks_its_rule_only_and_is_told_why(check, rule, plugin, cause):
    found = check(RULES, plugin)
    assert list(found) == [rule], found
    assert re.search(cause, found[rule]), found[rule]


def test_timm_is_checked_with_a_cnn_and_with_every_pooling_of_a_vit():
    assert encoders.features_are_rows(TimmEncoder) == ""
    poolings = [getattr(e.body, "global_pool", "") for e in encoders._small(TimmEncoder)]
    assert poolings[2:] == ["token", "avg", "map"]


def test_a_family_without_an_example_is_told_to_name_one():
    assert "class attribute `example`" in encoders.features_are_rows(NobodyKnows)


def test_an_example_that_is_refused_is_a_problem(check):
    class Misnamed(Waves):
        """Names an example that it does not know."""

        example = ("wave",)

    found = check([encoders.features_are_rows], Misnamed)
    assert "it refuses 'wave' of its `example`" in found["features_are_rows"]
