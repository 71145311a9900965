"""All commands, in the order in which `--help` shows them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from batchwatch.cli.command import add
from batchwatch.cli.commands.cancel import cancel
from batchwatch.cli.commands.fetch import fetch
from batchwatch.cli.commands.jobs import show_jobs
from batchwatch.cli.commands.list import show_list
from batchwatch.cli.commands.track import track

app = typer.Typer(
    name="batchwatch",
    help="See, follow, fetch and mend the OpenAI batches that batchwatch looks after.",
    epilog="Exit codes: 0 all is well; 1 the news is bad (a batch did not complete, something is "
    "out of order); 2 the command line is wrong; 3 no such stack, batch, job or file; 4 no "
    "credentials, or no right; 5 AWS or OpenAI has too much to do or cannot be reached, so try "
    "again; 130 Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        typer.echo(f"batchwatch {version('batchwatch')}")
        raise typer.Exit


@app.callback()
def _all(
    *,
    told: Annotated[
        bool,
        typer.Option(
            "--version", help="Tell which version.", callback=_tell_version, is_eager=True
        ),
    ] = False,
) -> None:
    del told


for each in (
    show_list,
    show_jobs,
    track,
    cancel,
    fetch,
):
    add(app, each)
