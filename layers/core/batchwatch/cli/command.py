"""What all commands have in common: the stack they look at, how they print, how they fail.

A command is a function `(stack, out, …its own arguments) -> None | Code`, named by `@command`. Its
docstring is its help.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchwatch.cli.group import Plain
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL_STACK = "batchwatch"

StackName = Annotated[
    str,
    typer.Option("--stack", envvar="BATCHWATCH_STACK", metavar="NAME", help="The deployed stack."),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="AWS profile. [default: as AWS_PROFILE says]"),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        envvar="AWS_REGION",  # boto3 itself knows AWS_DEFAULT_REGION only
        metavar="NAME",
        help="AWS region. [default: the profile's]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
AccountName = Annotated[
    str | None,
    typer.Option(
        "--account",
        "-a",
        metavar="NAME",
        help="Account of the batch. [default: the one that has it]",
    ),
]
_COMMON = {
    "name": (StackName, USUAL_STACK),
    "profile": (Profile, None),
    "region": (Region, None),
    "as_json": (AsJson, False),
}


@dataclass(frozen=True)
class Command:
    """A function, and under which name it is called."""

    name: str
    run: Callable[..., Code | None]


def command(name: str) -> Callable[[Callable[..., Code | None]], Command]:
    """Name a command."""
    return lambda function: Command(name, function)


def add(app: typer.Typer, each: Command) -> None:
    """Let the application have a command, with the options that all of them have."""
    own = [*inspect.signature(each.run, eval_str=True).parameters.values()][2:]
    common = [
        inspect.Parameter(
            option, inspect.Parameter.KEYWORD_ONLY, default=usual, annotation=annotation
        )
        for option, (annotation, usual) in _COMMON.items()
    ]

    @wraps(each.run)
    def run(
        *,
        context: typer.Context,
        name: str,
        profile: str | None,
        region: str | None,
        as_json: bool,
        **own: Any,
    ) -> None:
        out = Output(as_json=as_json)
        given = _given(context, stack=name, profile=profile, region=region)
        code: Code | None
        try:
            code = each.run(Stack(name, profile, region, given), out, **own)
        except (Exception, KeyboardInterrupt) as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            out.trouble(trouble)
            code = trouble.code
        raise typer.Exit(code or Code.WELL)

    called = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [called] + [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + common
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    app.command(each.name, cls=Plain)(run)


def _given(context: typer.Context, **said: str | None) -> list[str]:
    """Return the options that are on the command line, as others of the environment stay."""
    return [
        word
        for option, value in said.items()
        if str(context.get_parameter_source("name" if option == "stack" else option)).endswith(
            "COMMANDLINE"
        )
        for word in (f"--{option}", str(value))
    ]
