"""Finds plugins and fills the registries. Nothing is loaded before the first read."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError, UsageError
from .registry import Entry, Registry

BUILT_IN = "ssl-kit"
_SLOW = 1.0  # seconds of an import that are worth a remark


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found.

    Attributes:
        name: Of its entry point, which several distributions may give.
        origin: The distribution or file it comes from.
        version: Of the distribution, "" if it has none.
        hooks: What it implements.
        error: Why it could not be used, "" if it could.
        remarks: What its import did that it should not do.
    """

    name: str
    origin: str
    version: str
    hooks: tuple[str, ...] = ()
    error: str = ""
    remarks: tuple[str, ...] = ()

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
        self._found: dict[str, Plugin] = {}
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
        with self._contained(plugin):
            module = load()
            if not self.manager.is_registered(module):  # else two entry points for one module
                self.manager.register(module, name=plugin.key)
                self._found[plugin.key] = replace(plugin, hooks=_hooks_of(self.manager, module))

    @contextmanager
    def _contained(self, plugin: Plugin) -> Iterator[None]:
        """Runs code of a plugin, notes its error, and undoes what it does to the process."""
        folder, path, start, printed = Path.cwd(), list(sys.path), time.monotonic(), StringIO()
        try:
            with redirect_stdout(printed):
                yield
        except KeyboardInterrupt:  # of the person at the keyboard
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything
            self._fail(plugin, error)
        seconds, front = time.monotonic() - start, sys.path[: len(path)]
        remarks = {
            f"takes {seconds:.1f} s to load": seconds > _SLOW,
            "prints while it is loaded, which is not shown": bool(printed.getvalue()),
            "changes the working directory, which is undone": Path.cwd() != folder,
            "puts folders before others in sys.path; they are moved behind": front != path,
        }
        os.chdir(folder)
        sys.path[:] = [*path, *(each for each in sys.path if each not in path)]
        if plugin.key in self._found:
            known = self._found[plugin.key]
            texts = (*known.remarks, *(text for text, holds in remarks.items() if holds))
            self._found[plugin.key] = replace(known, remarks=texts)

    def _fail(self, plugin: Plugin, error: BaseException) -> None:
        known = self._found.get(plugin.key, plugin)
        reason = known.error or f"{type(error).__name__}: {error}"
        self._found[plugin.key] = replace(known, hooks=(), error=reason)

    def _fill(self) -> None:
        """Calls every register hook of every plugin on its own, so that origins are known."""
        for plugin in self.plugins:
            module = self.manager.get_plugin(plugin.key)
            for hook in [name for name in plugin.hooks if name in REGISTRIES]:
                with self._contained(plugin):
                    getattr(module, hook)(partial(self._register, REGISTRIES[hook], plugin))

    def _register(
        self,
        registry: Registry,
        plugin: Plugin,
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
            self._fail(plugin, error)

    def add_commands(self, cli: Any) -> None:
        """Lets each plugin add its commands, once."""
        hook = "register_commands"
        for plugin in self.plugins:
            if hook in plugin.hooks and plugin.key not in self._commands_of:
                self._commands_of.add(plugin.key)
                with self._contained(plugin):
                    getattr(self.manager.get_plugin(plugin.key), hook)(cli)

    @property
    def plugins(self) -> list[Plugin]:
        """All plugins, usable or not, in the order in which they were found."""
        return list(self._found.values())

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
    other = find_spec(file.stem)
    if other and other.origin and Path(other.origin).resolve() != file.resolve():
        raise PluginError(f"the file has the name of the module '{file.stem}'; rename the file")
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


@cache
def discovery() -> Discovery:
    """Loads all plugins, once a process."""
    return Discovery()


def _fill() -> None:
    discovery()


def _failed_plugins() -> str:
    names = [f"{plugin.name} ({plugin.error})" for plugin in discovery().failures]
    return f"These plugins failed to load: {'; '.join(names)}." if names else ""


encoders, objectives, datasets, domains, evaluations, recipes = (
    Registry(kind, _fill, _failed_plugins)
    for kind in ("encoder", "objective", "dataset", "domain", "evaluation", "recipe")
)

REGISTRIES = {
    f"register_{registry.kind}s": registry
    for registry in (encoders, objectives, datasets, domains, evaluations, recipes)
}
