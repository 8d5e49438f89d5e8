"""Broken plugins are in plugins/, where the processes of the checker can import them."""

import sys
from pathlib import Path

import pytest

from ssl_kit.core.registry import Entry
from ssl_kit.testing.kit import REGISTRIES, CheckFailed

sys.path.append(str(Path(__file__).parent / "plugins"))


def broken_rules(rules, plugin):
    """Returns the rules that a plugin breaks with what is said about it."""
    found = {}
    for rule in rules:
        try:
            rule(plugin)
        except CheckFailed as error:
            found[rule.__name__] = str(error)
        except Exception as error:  # noqa: BLE001  what `run_checks` reports as it is
            found[rule.__name__] = f"{type(error).__name__}: {error}"
    return found


@pytest.fixture
def check():
    """The function `broken_rules`."""
    return broken_rules


@pytest.fixture
def register(monkeypatch):
    """Registers a plugin until the end of the test."""

    def add(kind, name, value):
        registry = REGISTRIES[kind]
        list(registry)  # filled before it is changed
        monkeypatch.setitem(registry._entries, name, Entry(name, value, "mine.", "a test"))

    return add
