"""The group of all commands: errors are one line, and plugins may add commands."""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from ...core.errors import SslKitError
from ..provenance import TYPED


class Group(click.Group):
    """Lists its commands with whole sentences, which click would cut."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a line for each command: the first paragraph of its help."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, _first(command)) for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first(command: click.Command) -> str:
    return " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split())


class Cli(Group):
    """Turns ssl-kit's errors into one line, and offers the commands of plugins."""

    group_class = Group

    def main(self, args: Sequence[str] | None = None, *others: Any, **kwargs: Any) -> Any:
        """Runs a command; a mistake is one line on stderr, any other error keeps its traceback."""
        typed = TYPED.set(shlex.join(["ssl-kit", *(sys.argv[1:] if args is None else args)]))
        try:
            code = super().main(args, *others, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except (SslKitError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else error
            click.echo(f"Error: {text}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("Error: Interrupted.", err=True)
            sys.exit(1)
        finally:
            TYPED.reset(typed)
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names all commands, those of plugins included."""
        self._add_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Finds a command; plugins are asked only for names that are not ours."""
        command = super().get_command(ctx, name)
        if command is None:
            self._add_plugins()
            command = super().get_command(ctx, name)
        return command

    def _add_plugins(self) -> None:
        from ...core.discovery import discovery

        discovery().add_commands(self)


def _use_plugins_dir(ctx: click.Context, option: click.Parameter, folder: str | None) -> None:
    """Sets the folder before any command is looked up: its plugins may add commands."""
    if folder:
        os.environ["SSL_KIT_PLUGINS_DIR"] = folder


plugins_dir = click.option(
    "--plugins-dir",
    is_eager=True,
    expose_value=False,
    callback=_use_plugins_dir,
    help="Folder of single-file plugins under development.",
)
