"""The rules of the conformance kit, and how they are run."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.discovery import datasets, domains, encoders, evaluations, objectives, recipes
from ..core.errors import PluginError, SslKitError, UnknownNameError
from ..core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

REGISTRIES: dict[str, Registry] = {
    "objective": objectives,
    "domain": domains,
    "dataset": datasets,
    "encoder": encoders,
    "evaluation": evaluations,
    "recipe": recipes,
}


class CheckFailed(SslKitError):
    """A rule is broken; the message says how, and names the likely cause."""


@dataclass(frozen=True)
class Check:
    """One rule for one plugin. Calling it raises `CheckFailed` if the rule is broken.

    Attributes:
        kind: Kind of the plugin: "objective", "domain", ...
        name: Name of the plugin.
        rule: Statement that must hold, from the rule's docstring.
        function: Function of the loaded plugin; it may return a remark, such as on skipped parts.
    """

    kind: str
    name: str
    rule: str
    function: Callable[[Any], str | None]

    def __call__(self) -> str:
        """Checks the rule and returns the remark, "" if there is none."""
        return self.function(REGISTRIES[self.kind][self.name]) or ""

    def __str__(self) -> str:
        return self.function.__name__


@dataclass(frozen=True)
class Outcome:
    """The result of a check.

    Attributes:
        check: The rule.
        problem: How the rule is broken and the likely cause, "" if it holds.
        remark: Further remark, "" if there is none.
        seconds: Duration of the check.
    """

    check: Check
    problem: str
    remark: str
    seconds: float

    def __str__(self) -> str:
        state, check = "FAILED" if self.problem else "ok", self.check
        line = f"{state:<6} {self.seconds:5.1f} s  {check.kind} {check.name}: {check.rule}"
        notes = [f"        {text}" for text in (self.problem, self.remark) if text]
        return "\n".join([line, *notes])


def require(holds: bool, problem: str) -> None:
    """Raises `CheckFailed` with the problem unless the condition holds."""
    if not holds:
        raise CheckFailed(problem)


def require_finite(loss: Tensor) -> Tensor:
    """Returns a loss that is finite, and raises `CheckFailed` for any other."""
    require(bool(loss.isfinite()), f"the loss is {float(loss)}")
    return loss


def can_be_imported(plugin: Any) -> None:
    """It can be imported."""  # `Check` has imported it


@contextmanager
def explaining(cause: str) -> Iterator[None]:
    """Turns any error inside into a `CheckFailed` that names its likely cause.

    Args:
        cause: Text that follows the message of the error.
    """
    try:
        yield
    except Exception as error:
        raise CheckFailed(f"{_text(error)}; {cause}") from error


def checks_for(kind: str, name: str) -> list[Check]:
    """Returns the rules for a plugin, the most informative ones first.

    Raises:
        UnknownNameError: If the kind or the plugin does not exist.
        PluginError: If two plugins claim the name.
    """
    if kind not in REGISTRIES:
        raise UnknownNameError("kind of plugin", kind, REGISTRIES)
    REGISTRIES[kind].entry(name)
    rules = (can_be_imported, *importlib.import_module(f".{kind}s", __package__).RULES)
    return [_check(kind, name, rule) for rule in rules]


def _check(kind: str, name: str, rule: Callable[[Any], str | None]) -> Check:
    return Check(kind, name, (rule.__doc__ or "").split("\n")[0], rule)


def run_checks(kind: str, name: str) -> Iterator[Outcome]:
    """Runs the rules one after another; an unexpected error of the plugin is a problem as well.

    A plugin that cannot be imported, or whose name is registered twice, is not checked any further.
    """
    try:
        checks = checks_for(kind, name)
    except PluginError as error:  # the name is registered twice
        yield Outcome(_check(kind, name, can_be_imported), str(error), "", 0.0)
        return
    for check in checks:
        start = time.monotonic()
        problem = remark = ""
        try:
            remark = check()
        except PluginError as error:  # such as an import that fails
            problem = str(error)
        except Exception as error:  # noqa: BLE001  a plugin may raise anything
            problem = _text(error) + _where(error, check)
        yield Outcome(check, problem, remark, time.monotonic() - start)
        if problem and check.function is can_be_imported:
            return


def _text(error: BaseException) -> str:
    """Formats an error as one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, SslKitError) else f"{type(error).__name__}: {text}"


def _where(error: BaseException, check: Check) -> str:
    """Names the last line of the plugin's module in the traceback of an error, if there is one."""
    plugin = REGISTRIES[check.kind][check.name]
    if isinstance(plugin, Path):  # a recipe has no code
        return ""
    module = sys.modules.get(getattr(plugin, "__module__", ""))
    file = getattr(module, "__file__", None) or ""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return f" ({Path(file).name}, line {lines[-1]})" if lines else ""


def summary(outcomes: Sequence[Outcome]) -> str:
    """Summarizes how many rules hold and how many are broken."""
    broken = sum(bool(outcome.problem) for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    kept = f"{len(outcomes) - broken} of {len(outcomes)} rules hold"
    return f"{kept}, {broken} broken, in {seconds:.0f} s."


def everything() -> list[tuple[str, str]]:
    """Returns (kind, name) of every plugin."""
    return [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


def find(name: str) -> list[tuple[str, str]]:
    """Returns (kind, name) of all plugins with a name.

    Raises:
        UnknownNameError: If no plugin has the name.
    """
    plugins = [(kind, known) for kind, known in everything() if known == name]
    if not plugins:
        raise UnknownNameError("plugin", name, {known for _, known in everything()})
    return plugins


def parametrize_with_checks(kind: str, name: str) -> Any:
    """Returns a pytest decorator: one test per rule, with an argument `check` to call."""
    import pytest

    return pytest.mark.parametrize("check", checks_for(kind, name), ids=str)
