"""What typer does not do: commands loaded when called, plain usage errors, plain signatures."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

_OF_ALL = ("--stack", "--profile", "--region")
_SIGPIPE = 141
"""The exit code of the system's own tools, as a shell has it, where the reader went away."""


class Commands(TyperGroup):
    """The application. Its commands stand for those of their names, until one is called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what every command takes from before its name, too."""
        moved = 0
        while moved < len(args) and args[moved].partition("=")[0] in (*_OF_ALL, "--json"):
            moved += 2 if args[moved] in _OF_ALL else 1
        front, rest = args[:moved], args[moved:]
        if rest and not rest[0].startswith("-"):
            args = [rest[0], *front, *rest[1:]]
        elif not rest and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is called."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and loaded(str(name)), rest

    def main(self, *arguments: Any, **extra: Any) -> Any:
        """Run a command, and exit; tell of a wrong command line as of all other errors."""
        try:
            sys.exit(super().main(*arguments, **extra | {"standalone_mode": False}))
        except typer.TyperException as error:
            sys.exit(_told(error))
        except SystemExit as end:  # of rich or of typer, for which it is 1
            if not isinstance(end.__context__, BrokenPipeError):
                raise
            sys.exit(_SIGPIPE)


class Plain(TyperCommand):
    """A command whose help writes `ID...`, `[ID...]` and `N`, and no types of Python."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Name the arguments as the manual pages do."""
        pieces = super().collect_usage_pieces(ctx)
        bare = [re.sub(r"\{(.+)\}", r"\1", piece) for piece in pieces]
        return [re.sub(r"\[(.+)\]\.\.\.", r"[\1...]", piece) for piece in bare]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options as typer does, but their names."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            of_kind = [each for each in self.get_params(ctx) if each.param_type_name == kind]
            records = [each.get_help_record(ctx) for each in of_kind]
            if rows := [(_plain(name), said) for name, said in filter(None, records)]:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _plain(name: str) -> str:
    """Write `ID...` for `ID <list[str]>`, and for an option its choices, or N."""
    name = re.sub(r"^([A-Z_]+) <list.*>$", r"\1...", name)
    name = re.sub(r"^([A-Z_]+) <.*>$", r"\1", name)
    name = re.sub(r"<list\[(.*)\]>$", r"<\1>", name)
    name = re.sub(r"<(int|float)( range)?>$", "N", name)
    return re.sub(r"<(.*\|.*)>$", r"\1", name)


def _told(error: typer.TyperException) -> int:
    """Print what is wrong with the command line, and where it is told how it should be."""
    from batchwatch.cli.output import Output
    from batchwatch.cli.trouble import Code, CommandError

    cause = " ".join(error.format_message().split()).rstrip(".")
    path = getattr(error, "ctx", None) and error.ctx.command_path  # type: ignore[attr-defined]
    way_out = f"{path or 'batchwatch'} --help"
    Output().trouble(CommandError(Code.USAGE, cause[:1].lower() + cause[1:], way_out))
    return Code.USAGE


@cache
def loaded(name: str) -> TyperCommand:
    """Import a command, whose module is named like it, and build it."""
    from batchwatch.cli.command import Command, add

    module = import_module(f"batchwatch.cli.commands.{name}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    add(alone, next(each for each in vars(module).values() if isinstance(each, Command)))
    return cast("TyperCommand", get_command(alone))
