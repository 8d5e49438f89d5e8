"""The group of all commands: errors are one line, and plugins may add commands."""

from __future__ import annotations

import inspect
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import click

from ...core.errors import SslKitError
from ..provenance import TYPED


class Command(click.Command):
    """Refuses an option for several names that is given twice: click would take the last.

    Of other options the last one counts, so that a script can append one to those it has.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments.

        Raises:
            UsageError: If an option for names with commas is given more than once.
        """
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            several = "commas" in (getattr(option, "help", None) or "")
            if several and given.count(option) > 1:
                raise click.UsageError(
                    f"{option.opts[0]} is given twice. Give it once, with commas between the names."
                )
        return super().parse_args(ctx, args)


class Group(click.Group):
    """Lists its commands with whole sentences, which click would cut."""

    command_class = Command

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
        for stream in (sys.stdout, sys.stderr):  # names of files may be no Unicode
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        typed = TYPED.set(shlex.join(["ssl-kit", *(sys.argv[1:] if args is None else args)]))
        try:
            with _interrupted_by_stop_signals():
                code = super().main(args, *others, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except (SslKitError, click.ClickException) as error:
            click.echo(f"Error: {self._text_of(error)}", err=True)
            sys.exit(error.exit_code)
        except click.Abort as error:
            reason = str(error.__cause__ or "") or "Interrupted."
            click.echo(f"Error: {reason}", err=True)
            sys.exit(1)
        except (MemoryError, OSError, RuntimeError) as error:
            reason = _reason_of(error)
            if not reason:
                raise
            click.echo(f"Error: {reason}", err=True)
            sys.exit(1)
        finally:
            TYPED.reset(typed)
        sys.exit(code if isinstance(code, int) else 0)

    def _text_of(self, error: Exception) -> str:
        """Returns the message, or why an option of this group is not one of a command."""
        ours = {name for option in self.params for name in option.opts}
        if isinstance(error, click.NoSuchOption) and error.option_name in ours:
            name = error.option_name
            return f"'{name}' stands before the command: 'ssl-kit {name} ... COMMAND'."
        return error.format_message() if isinstance(error, click.ClickException) else str(error)

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


@contextmanager
def _interrupted_by_stop_signals() -> Iterator[None]:
    """Lets SIGTERM and a closed terminal end a command in good order, as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # the same signal may come twice
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP", "SIGBREAK")]
    handled = [n for n in numbers if main and n and signal.getsignal(n) == signal.SIG_DFL]
    for number in handled:  # not those that are ignored, as SIGHUP is by nohup
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _reason_of(error: Exception) -> str:
    """Returns a line for an error that the machine is the cause of, "" for a fault of ours."""
    from ...core.errors import reason_of_refusal
    from ...data.memory import is_out_of_memory

    if is_out_of_memory(error):
        advice = "The memory is full. Lower the batch size, the image size or the number of workers"
        lines = str(error).strip().splitlines()  # none of Python's own
        return f"{advice} ({lines[-1][:200]})." if lines else f"{advice}."
    if not isinstance(error, OSError):
        return ""
    if isinstance(error, FileNotFoundError):
        if not error.filename:
            return "The current folder was deleted. Change to another one."
        return f"'{error.filename}' does not exist, or was deleted meanwhile."
    reason = reason_of_refusal(error)
    return f"Cannot use '{error.filename or '.'}': {reason}." if reason else ""


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
