"""Rules, and how they are run."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ssl_kit.core.discovery import datasets, domains, encoders, evaluations, objectives
from ssl_kit.core.errors import SslKitError, UnknownNameError
from ssl_kit.core.registry import Registry

REGISTRIES: dict[str, Registry] = {
    "objective": objectives,
    "domain": domains,
    "dataset": datasets,
    "encoder": encoders,
    "evaluation": evaluations,
}


class CheckFailed(SslKitError):
    """A rule is broken; the message says which way and what the likely cause is."""


@dataclass(frozen=True)
class Check:
    """One rule for one plugin. Calling it raises `CheckFailed` if the rule is broken.

    Attributes:
        kind: "objective", "domain", ...
        name: Of the plugin.
        rule: What must hold, from the rule's docstring.
        function: Takes the loaded plugin.
    """

    kind: str
    name: str
    rule: str
    function: Callable[[Any], None]

    def __call__(self) -> None:
        """Checks the rule."""
        self.function(REGISTRIES[self.kind][self.name])

    def __str__(self) -> str:
        return self.function.__name__


@dataclass(frozen=True)
class Outcome:
    """How a check went.

    Attributes:
        check: The rule.
        problem: "" if it holds.
        seconds: What it took.
    """

    check: Check
    problem: str
    seconds: float


def require(holds: bool, problem: str) -> None:
    """Raises `CheckFailed` with the problem unless it holds."""
    if not holds:
        raise CheckFailed(problem)


def checks_for(kind: str, name: str) -> list[Check]:
    """Returns the rules for a plugin, in the order in which failing them is most telling.

    Raises:
        UnknownNameError: If there is no such kind or plugin.
    """
    if kind not in REGISTRIES:
        raise UnknownNameError("kind of plugin", kind, REGISTRIES)
    REGISTRIES[kind].entry(name)
    rules = importlib.import_module(f".{kind}s", __package__).RULES
    return [Check(kind, name, (f.__doc__ or "").split("\n")[0], f) for f in rules]


def run_checks(kind: str, name: str) -> Iterator[Outcome]:
    """Runs the rules one after another; an unexpected error of the plugin is a problem too."""
    for check in checks_for(kind, name):
        start = time.monotonic()
        problem = ""
        try:
            check()
        except CheckFailed as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001  a plugin may raise anything
            problem = f"{type(error).__name__}: {error}"
        yield Outcome(check, problem, time.monotonic() - start)


def everything() -> list[tuple[str, str]]:
    """Returns (kind, name) of every plugin."""
    return [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


def find(name: str) -> list[tuple[str, str]]:
    """Returns (kind, name) of the plugins of that name.

    Raises:
        UnknownNameError: If there is none.
    """
    found = [(kind, known) for kind, known in everything() if known == name]
    if not found:
        raise UnknownNameError("plugin", name, {known for _, known in everything()})
    return found


def parametrize_with_checks(kind: str, name: str) -> Any:
    """Returns a pytest decorator: one test per rule, with an argument `check` to call."""
    import pytest

    return pytest.mark.parametrize("check", checks_for(kind, name), ids=str)
