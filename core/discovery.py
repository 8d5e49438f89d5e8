"""Finds plugins and fills the registries. Nothing is loaded before the first read."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError, UsageError
from .registry import Entry, Registry

BUILT_IN = "ssl-kit"


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found.

    Attributes:
        name: Of its entry point, which several distributions may give.
        origin: The distribution or file it comes from.
        version: Of the distribution, "" if it has none.
        hooks: What it implements.
        error: Why it could not be used, "" if it could.
    """

    name: str
    origin: str
    version: str
    hooks: tuple[str, ...] = ()
    error: str = ""

    @property
    def key(self) -> str:
        """Tells the plugin from others whose entry point has the same name."""
        return f"{self.origin}:{self.name}"


class Discovery:
    """All plugins of this process, each loaded on its own so that none can harm another.

    `SSL_KIT_PLUGINS=a,b` limits which entry points are loaded; `SSL_KIT_PLUGINS_DIR` names a
    folder of single-file plugins under development.
    """

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []
        self._commands_of: set[str] = set()
        self._load(
            BUILT_IN, BUILT_IN, version(BUILT_IN), lambda: _import(f"{__package__[:-5]}.plugins")
        )
        allowed = os.environ.get("SSL_KIT_PLUGINS")
        for point in sorted(entry_points(group=hookspecs.PROJECT), key=lambda point: point.name):
            if allowed is None or point.name in allowed.split(","):
                self._load(point.name, *_origin(point), point.load)
        for file in _plugin_files():
            self._load(file.stem, str(file), "", partial(_import_file, file))
        self._fill()

    def _load(self, name: str, origin: str, version: str, load: Callable[[], Any]) -> None:
        plugin = Plugin(name, origin, version)
        try:
            module = load()
            if self.manager.is_registered(module):  # two entry points for one module
                return
            self.manager.register(module, name=plugin.key)
            hooks = _hooks_of(self.manager, module)
            self.plugins.append(replace(plugin, hooks=hooks))
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin may raise anything
            self._fail(plugin, error)

    def _fail(self, plugin: Plugin, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {error}"
        if plugin in self.plugins:
            self.plugins.remove(plugin)
        self.plugins.append(replace(plugin, hooks=(), error=reason))

    def _fill(self) -> None:
        """Calls every register hook of every plugin on its own, so that origins are known."""
        for plugin in list(self.plugins):
            module = self.manager.get_plugin(plugin.key)
            errors: list[Exception] = []
            for hook in [name for name in plugin.hooks if name in _REGISTRIES]:
                try:
                    getattr(module, hook)(partial(_register, _REGISTRIES[hook], plugin, errors))
                except Exception as error:  # noqa: BLE001
                    errors.append(error)
            if errors:
                self._fail(plugin, errors[0])

    def add_commands(self, cli: Any) -> None:
        """Lets each plugin add its commands, once."""
        hook = "register_commands"
        for plugin in list(self.plugins):
            if hook in plugin.hooks and plugin.key not in self._commands_of:
                self._commands_of.add(plugin.key)
                try:
                    getattr(self.manager.get_plugin(plugin.key), hook)(cli)
                except Exception as error:  # noqa: BLE001
                    self._fail(plugin, error)

    @property
    def failures(self) -> list[Plugin]:
        """The plugins that could not be used."""
        return [plugin for plugin in self.plugins if plugin.error]


def _import(name: str) -> ModuleType:
    return importlib.import_module(name)


def _origin(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else (point.value, "")


def _plugin_files() -> list[Path]:
    folder = os.environ.get("SSL_KIT_PLUGINS_DIR")
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise UsageError(f"The plugins folder '{folder}' does not exist. Correct --plugins-dir.")
    return sorted(Path(folder).glob("[!_]*.py"))


def _import_file(file: Path) -> ModuleType:
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # and left there, for processes that we start
    return importlib.import_module(file.stem)


def _hooks_of(manager: pluggy.PluginManager, module: Any) -> tuple[str, ...]:
    """Returns the hooks a module implements; a misspelled one is an error, not a silence."""
    callers = manager.get_hookcallers(module) or []
    known = {name for name in dir(hookspecs) if name.startswith("register_")}
    unknown = sorted({caller.name for caller in callers} - known)
    if unknown:
        raise PluginError(
            f"unknown hook {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    return tuple(sorted(caller.name for caller in callers))


def _register(
    registry: Registry,
    plugin: Plugin,
    errors: list[Exception],
    name: str,
    value: Any,
    summary: str = "",
    install: str = "",
    group: str = "",
) -> None:
    """Registers a name; one that is taken or wrong leaves the plugin's other names alone."""
    try:
        registry.add(Entry(name, value, summary, plugin.origin, plugin.version, install, group))
    except PluginError as error:
        errors.append(error)


@cache
def discovery() -> Discovery:
    """Loads all plugins, once a process."""
    return Discovery()


def _fill() -> None:
    discovery()


def _failed_plugins() -> str:
    names = [f"{plugin.name} ({plugin.error})" for plugin in discovery().failures]
    return f"These plugins failed to load: {'; '.join(names)}." if names else ""


encoders = Registry("encoder", _fill, _failed_plugins)
objectives = Registry("objective", _fill, _failed_plugins)
datasets = Registry("dataset", _fill, _failed_plugins)
domains = Registry("domain", _fill, _failed_plugins)
evaluations = Registry("evaluation", _fill, _failed_plugins)

_REGISTRIES = {
    "register_encoders": encoders,
    "register_objectives": objectives,
    "register_datasets": datasets,
    "register_domains": domains,
    "register_evaluations": evaluations,
}
