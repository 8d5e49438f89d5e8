"""Layers of settings: from TOML, --set and flags, merged, nested or with dotted keys."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError, did_you_mean
from .flags import FLAGS

_WORDS = re.compile(r"\[\s*([\w.-]+(?:\s*,\s*[\w.-]+)*)\s*\]")


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        UsageError: If it does not exist or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors write a mark
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"Cannot read the configuration '{path}': {reason}.") from error


def parse_set(assignment: str) -> dict[str, Any]:
    """Turns "objective.temperature=0.2" into {"objective": {"temperature": 0.2}}.

    Values are TOML; words, and words in a list, need no quotation marks.

    Raises:
        UsageError: If there is no key or no "=".
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set takes key=value, not '{assignment}'.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        words = _WORDS.fullmatch(text)
        value = re.split(r"\s*,\s*", words[1]) if words else text
    return nest(key.strip().split("."), value)


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merges nested mappings; later layers win. A plugin's options go when its name changes."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(value, str) and key == "objective":
                value = {"name": value}
            if isinstance(value, Mapping) and key in merged and not isinstance(below, Mapping):
                raise UsageError(f"'{key}' has settings of its own; it cannot be {below!r}.")
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                renamed = "name" in value and value["name"] != below.get("name")
                value = merge({} if renamed and key == "objective" else below, value)
            merged[key] = value
    return merged


def lead_of_objective(name: str, domain: str, asked: Mapping[str, Any]) -> str:
    """Returns words before the options of an objective, which says if it is a domain's default."""
    named = "name" in merge(asked).get("objective", {})
    return f"The objective {name}{'' if named else f' (default of domain {domain})'} has"


def expand(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Turns {"objective.temperature": 0.2} into nested settings; None into none."""
    return merge(*(nest(key.split("."), value) for key, value in (settings or {}).items()))


def flatten(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Turns nested settings into {"objective.temperature": 0.2}, the inverse of `expand`."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        nested = isinstance(value, Mapping)
        flat |= flatten(value, f"{above}{key}.") if nested else {f"{above}{key}": value}
    return flat


def refuse_strays(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses options of an evaluation that is not asked for.

    Args:
        settings: Options by the name of their evaluation.
        names: Of the evaluations that are asked for.

    Raises:
        UsageError: At the first that is not.
    """
    stray = sorted(set(settings) - set(names))
    if stray:
        near = did_you_mean(stray[0], names)
        raise UsageError(
            f"'{stray[0]}' is not among the evaluations asked for. "
            f"{f'{near} ' if near else ''}An option is set like "
            f"{names[0]}.NAME=VALUE; see 'ssl-kit evaluations {names[0]}'."
        )


def nest(keys: Iterable[str], value: Any) -> dict[str, Any]:
    """Returns {"a": {"b": value}} for the keys "a", "b"."""
    for key in reversed(list(keys)):
        value = {key: value}
    return dict(value)


def from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the flags that were given into nested settings; None was not given.

    Args:
        flags: By their names in `FLAGS`. A path, or a run, counts as its text.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    return merge(*(nest(FLAGS[name], _plain(value)) for name, value in given.items()))


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
