"""Refuses options that would change nothing beside another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click
from click.core import ParameterSource


def needless(
    flag: str, *, beside: Iterable[str] = (), without: Iterable[str] = ()
) -> Callable[[Any], Any]:
    """Makes a command refuse options that have no effect because of a flag.

    Options are named as the arguments of the command are.

    Args:
        flag: The flag.
        beside: Options that have no effect if the flag is given.
        without: Options that have no effect if it is not.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def checked(**options: Any) -> Any:
            names, word = (beside, "beside") if options[flag] else (without, "without")
            context = click.get_current_context()
            typed = {param.name: param.opts[0] for param in context.command.params}
            for name in names:
                if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
                    text = f"{typed[name]} changes nothing {word} {typed[flag]}. Leave it out."
                    raise click.UsageError(text)
            return command(**options)

        return checked

    return decorate
