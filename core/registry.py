"""Names to things: a read-only mapping that imports a thing the first time it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import PluginError, UnknownNameError


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes:
        name: What the user types.
        value: Where the thing is, as "package.module:Attribute", or the thing itself; None for a
            name that is known but whose package is not installed.
        summary: One plain sentence for the listings.
        origin: The distribution or file that registered it.
        version: The version of that distribution, "" if it has none.
        install: The command that installs it when `value` is None.
        group: Heading that the listings show it under, such as "Contrastive".
    """

    name: str
    value: Any
    summary: str = ""
    origin: str = ""
    version: str = ""
    install: str = ""
    group: str = ""

    def load(self) -> Any:
        """Imports and returns the thing.

        Raises:
            PluginError: If its module or the attribute cannot be imported.
        """
        if not isinstance(self.value, str):
            return self.value
        module, _, attribute = self.value.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also of sys.exit
            raise PluginError(
                f"'{self.name}' of plugin '{self.origin}' failed to load from '{self.value}': "
                f"{type(error).__name__}: {error}"
            ) from error


class Registry(Mapping[str, Any]):
    """A mapping from name to thing, filled by the plugins on first use.

    Args:
        kind: What it holds, singular ("objective"); used in messages.
        fill: Called once, before the first read, to register everything.
        hint: Returns what to add to the message about an unknown name.
    """

    def __init__(
        self, kind: str, fill: Callable[[], None], hint: Callable[[], str] = lambda: ""
    ) -> None:
        self.kind = kind
        self._fill, self._hint = fill, hint
        self._entries: dict[str, Entry] = {}
        self._clashes: dict[str, str] = {}

    def add(self, entry: Entry) -> None:
        """Adds an entry; a known-but-not-installed one gives way to the real one.

        Raises:
            PluginError: If the name is taken. From then on a look-up of that name, and of that
                name only, fails with the same message.
        """
        name = entry.name
        if not isinstance(name, str) or name.lower().split() != [name]:
            raise PluginError(
                f"Plugin '{entry.origin}' registers the {self.kind} name {name!r}: names are "
                "texts in lower case, without spaces."
            )
        if not isinstance(entry.summary, str) or (
            isinstance(entry.value, str) and not all(entry.value.partition(":"))
        ):
            raise PluginError(
                f"Plugin '{entry.origin}' registers the {self.kind} '{name}' wrongly: the value is "
                "'package.module:Attribute' or the thing itself, and the summary is a text."
            )
        known = self._entries.get(entry.name)
        if known and known.value is not None and entry.value is not None:
            self._clashes[entry.name] = (
                f"The {self.kind} '{entry.name}' is registered twice: by '{known.origin}' and by "
                f"'{entry.origin}'. Uninstall one of them or ask its author to rename it."
            )
            raise PluginError(self._clashes[entry.name])
        if known is None or known.value is None:
            self._entries[entry.name] = entry

    def entry(self, name: str) -> Entry:
        """Returns the entry of a name without importing the thing.

        Raises:
            UnknownNameError: If there is none, or its package is not installed.
            PluginError: If two plugins claim the name.
        """
        self._fill()
        if name in self._clashes:
            raise PluginError(self._clashes[name])
        entry = self._entries.get(name)
        if entry is None:
            hint = f"{self._hint()} A plugin in a folder needs --plugins-dir FOLDER.".lstrip()
            raise UnknownNameError(self.kind, name, self, hint)
        if entry.value is None:
            hint = f"It is not installed: run '{entry.install}'. {self._hint()}".rstrip()
            raise UnknownNameError(self.kind, name, self, hint)
        return entry

    def entries(self) -> list[Entry]:
        """Returns all entries in the order of their registration."""
        self._fill()
        return list(self._entries.values())

    def __getitem__(self, name: str) -> Any:
        return self.entry(name).load()

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(sorted(n for n, entry in self._entries.items() if entry.value is not None))

    def __len__(self) -> int:
        return len(list(iter(self)))
