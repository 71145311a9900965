"""`batchwatch doctor`: is everything in order, and how to mend what is not."""

from __future__ import annotations

from typing import Annotated

import typer

from batchwatch.cli.command import command
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError


@command("doctor")
def see_doctor(  # noqa: PLR0913 - each is an option
    stack: Stack,
    out: Output,
    *,
    webhook: Annotated[
        bool,
        typer.Option(
            "--webhook",
            help="Also send a signed test event, which changes nothing, to the webhook's address.",
        ),
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Instead, ask OpenAI what its documents leave open; only reads, costs nothing.",
        ),
    ] = False,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            "-a",
            metavar="NAME",
            help="With --probe: whose API is asked. [default: default, or the only one]",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE_ID",
            help="With --probe: the file at OpenAI to try downloads with; at most 1 MB of it is "
            "read. [default: the output of a recent small batch]",
        ),
    ] = None,
) -> Code | None:
    """Tell whether everything is in order, and how to mend what is not.

    Looks at the stack and its schedules, the last poll, the secret and each key in it (by one
    GET of the list of batches), webhooks, who is subscribed, alarms, dead letters, files that
    wait to be archived, and the bucket. Each line is ok, a warning, a problem, or not checked,
    as you have no right to look; below it stands the way out. No key is ever printed.

    It only reads, and needs rights that other commands do not: it reads the secret.

    \b
      batchwatch doctor
      batchwatch doctor --webhook
      batchwatch doctor --json | jq 'select(.state != "ok")'
      batchwatch doctor --probe --account default

    With --json each check is an object {check, state, found, way_out}; with --probe each question
    is one {question, answer, details}.

    Exit code: 0 nothing is a problem (there may be warnings); 1 something is; 3 there is no such
    stack; 4 you may not even ask for it.
    """  # noqa: D301 - click's mark of lines that stay as they are
    # Half a second to load, which the other commands need not spend.
    from batchwatch.cli.checks.examine import ask, examine  # noqa: PLC0415 - see above

    if probe:
        ask(stack, out, account, file)
        return None
    if account or file:
        raise CommandError(Code.USAGE, "--account and --file go with --probe")
    return examine(stack, out, test_event=webhook)
