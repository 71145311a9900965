"""All commands, in the order in which `--help` shows them; each is loaded when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from batchwatch.cli.group import Commands

SUMMARIES = {
    "list": "List batches, the newest first.",
    "show": "Show everything known of a batch or a job.",
    "watch": "Watch batches and jobs until they are over.",
    "events": "Print every event of a batch or a job as it was sent.",
    "submit": "Send files of requests as batches, and watch them.",
    "jobs": "Show the files that are being sent.",
    "page": "Write a status page, one HTML file.",
    "track": "Put batches under watch.",
    "cancel": "Cancel batches, or jobs with all their batches.",
    "fetch": "Fetch the archived files of batches and jobs.",
    "archive": "Verify what is archived, and have copied again what is not.",
    "replay": "Announce events of batches or jobs again.",
    "redrive": "Show the dead letters, and send them back.",
    "doctor": "Tell whether everything is in order, and how to mend it.",
}
"""What `--help` says of each command without loading it; the module is named like the command."""

app = typer.Typer(
    name="batchwatch",
    cls=Commands,
    help="See, follow, fetch and mend the OpenAI batches that batchwatch looks after.",
    epilog="Exit codes: 0 all is well; 1 the news is bad (a batch did not complete, something is "
    "out of order); 2 the command line is wrong; 3 no such stack, batch, job or file; 4 no "
    "credentials, or no right; 5 AWS or OpenAI has too much to do or cannot be reached, so try "
    "again; 130 Ctrl-C; 141 the answer's reader went away. Each command takes --stack, --profile, "
    "--region and --json; they may stand before it, too.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - asked for seldom

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


for _name, _summary in SUMMARIES.items():
    app.command(_name, help=_summary)(lambda: None)  # in its stead, until it is called
