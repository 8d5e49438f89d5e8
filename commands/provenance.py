"""What was asked for, as it is recorded beside results: the command line, or the Python call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from inspect import Parameter, signature
from typing import Any

TYPED: ContextVar[str] = ContextVar("TYPED", default="")
"""The command line that is running; "" in Python."""


def command_of(
    function: Callable[..., Any], arguments: Mapping[str, Any], module: str = "ssl_kit"
) -> str:
    """Returns the command as it was typed, or else the call of a function of `ssl_kit`.

    Args:
        function: The function.
        arguments: Its arguments by name; those that have their default are left out.
        module: Where users import the function from.
    """
    if TYPED.get():
        return TYPED.get()
    parts = []
    for name, parameter in signature(function).parameters.items():
        value = arguments[name]
        if parameter.kind is Parameter.VAR_POSITIONAL:
            parts += [_text(each) for each in value]
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            parts += [f"{name}={_text(value)}"] if value != parameter.default else []
        else:
            parts.append(_text(value))
    return f"{module}.{function.__name__}({', '.join(parts)})"


def of_images(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Picks the arguments that `evaluate`, `finetune` and `compare` pass on: encoder and images.

    Args:
        arguments: All arguments of the command by name.
    """
    return {name: _plain(arguments[name]) for name in (*_IMAGES, *_ENCODER)}


_IMAGES = ("domain", "data", "labels", "holdout", "allow_overlap", "strict")
_ENCODER = ("encoder", "image_size")


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _text(value: Any) -> str:
    return repr(_plain(value))
