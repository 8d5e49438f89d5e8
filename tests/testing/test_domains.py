"""The checker is checked: each broken plugin breaks one rule, and is told why."""

import re
from dataclasses import replace
from threading import Lock

import albumentations as A
import numpy as np
import pytest

from ssl_kit import Corruption, Pairing
from ssl_kit.data import resized_crop
from ssl_kit.plugins.datasets.digits import Digits
from ssl_kit.plugins.domains.natural import NATURAL
from ssl_kit.testing import domains

RULES = domains.RULES


class Cropped:
    """A policy that other processes can be sent."""

    def __init__(self, *transforms):
        self.transforms = transforms

    def __call__(self, view, channels):
        return [resized_crop(view), *self.transforms]


def resized(view, channels):
    return [A.Resize(view.size, view.size)]


def cut(view, channels):
    return [A.RandomCrop(1, view.size), A.HorizontalFlip(p=0.5)]


def policy(*transforms):
    return {**NATURAL.policies, "default": Cropped(*transforms)}


def corruption(make, strengths):
    made = Corruption(lambda strength, channels: make(strength), strengths, "")
    return {"corruptions": {"dark": made}}


class Scaled(A.ImageOnlyTransform):
    """Multiplies, whatever comes out."""

    def __init__(self, factor):
        super().__init__(p=1)
        self.factor = factor

    def apply(self, img, **params):
        return (img * self.factor).astype(img.dtype)


class Brighter(A.ImageOnlyTransform):
    """Leaves the range."""

    def apply(self, img, **params):
        return img if img.dtype == np.uint8 else img * 1.5


class Widened(A.ImageOnlyTransform):
    """Computes in float64 and stays there."""

    def apply(self, img, **params):
        return img.astype(np.float64)


class FirstThree(A.ImageOnlyTransform):
    """Takes the first three channels for colors."""

    def apply(self, img, **params):
        img = img.copy()
        img[..., 2] = img[..., 0]
        return img


class Shifted(A.DualTransform):
    """Moves pixels and does not say where to."""

    def apply(self, img, **params):
        return np.roll(img, 3, axis=1)


class Unseeded(A.ImageOnlyTransform):
    """Draws from a generator that nobody seeds."""

    def apply(self, img, **params):
        return np.roll(img, np.random.default_rng().integers(100), axis=1)


class Flickering(Digits):
    """A demo that differs each time."""

    def read(self, i):
        return super().read(i) + np.random.default_rng().random((8, 8, 1))


class Locked(Digits):
    """A demo that keeps what cannot be sent."""

    def prepare(self):
        super().prepare()
        self.lock = Lock()


class Waves(Digits):
    """Signals: one row of pixels."""

    def read(self, i):
        return super().read(i).reshape(1, -1, 1)


def astray(index):
    n = len(index)
    return Pairing(np.arange(1, n + 1), np.arange(n), np.arange(1, n + 1))


BROKEN = [
    ("declares_itself", {"datasets": ("image_floder",)}, "nobody registers: image_floder"),
    ("defaults_are_settings", {"defaults": {"trian": {}}}, "Did you mean 'train'?"),
    ("demo_needs_nothing", {"demo": "flickering"}, "seed its generator"),
    ("policies_keep_shape_type_and_range", {"policies": policy(A.HorizontalFlip(), Brighter(p=1))},
     "'default', 1 channels, float32: .*clip to"),
    ("policies_keep_shape_type_and_range", {"policies": policy(A.HorizontalFlip(), Widened(p=1))},
     "the type becomes float64"),
    ("views_can_be_located", {"policies": policy(A.HorizontalFlip(), Shifted(p=1))},
     "'default'; what moves pixels is an augment.SpatialTransform"),
    ("default_views_differ", {"policies": {**NATURAL.policies, "default": resized}},
     "transforms applied with p > 0"),
    ("views_can_be_made_again", {"policies": policy(Unseeded(p=1))}, "self.random_generator"),
    ("travels_to_other_processes", {"policies": {**NATURAL.policies, "weak":
     lambda view, channels: [resized_crop(view)]}}, "the policy 'weak'; use functions of a module"),
    ("travels_to_other_processes", {"demo": "locked"}, "the demo 'locked'; keep no open file"),
    ("pairings_pair", {"pairings": {"next": astray}}, "'next' gives positions outside"),
    ("corruptions_get_worse", corruption(lambda dark: Scaled(1 - dark), (0.9, 0.5, 0.1)),
     "'dark', .*: images do not get worse from strength to strength"),
    ("corruptions_get_worse", corruption(lambda _: Widened(p=1), (1,)), "gives float64"),
    ("corruptions_get_worse", corruption(lambda _: Unseeded(p=1), (1,)), "the second time"),
    ("corruptions_get_worse", corruption(lambda by: Scaled(1 + by), (1, 2)), "leave the range"),
]  # fmt: skip


def test_there_is_a_broken_plugin_for_each_rule():
    assert list(dict.fromkeys(rule for rule, _, _ in BROKEN)) == [r.__name__ for r in RULES]


def test_a_sound_plugin_breaks_none(check):
    assert check(RULES, NATURAL) == {}


@pytest.mark.parametrize(("rule", "changes", "cause"), BROKEN)
def test_a_broken_plugin_breaks_its_rule_only_and_is_told_why(
    check, register, rule, changes, cause
):
    register("dataset", "flickering", Flickering)
    register("dataset", "locked", Locked)
    found = check(RULES, replace(NATURAL, **changes))
    assert list(found) == [rule], found
    assert re.search(cause, found[rule]), found[rule]


def test_a_transform_for_other_channels_is_told_what_to_use(check):
    broken = replace(NATURAL, policies=policy(FirstThree(p=1)))
    found = check([domains.policies_keep_shape_type_and_range], broken)
    assert (
        "'default', 1 channels, uint8; what needs certain channels goes through"
        in (found["policies_keep_shape_type_and_range"])
    )


def test_a_domain_of_signals_is_checked_with_signals(check, register):
    register("dataset", "waves", Waves)
    signals = replace(
        NATURAL, demo="waves", policies=dict.fromkeys(("default", "weak", "upright", "eval"), cut)
    )
    assert check(RULES, signals) == {}
