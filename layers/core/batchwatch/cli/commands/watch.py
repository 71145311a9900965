"""`batchwatch watch`: batches and jobs, live, until they are over."""

from __future__ import annotations

import math
import sys
from typing import Annotated

import typer

from batchwatch.cli.command import AccountName, command
from batchwatch.cli.follow.following import Until, paces_of, verdict, watch
from batchwatch.cli.follow.screen import screen_for
from batchwatch.cli.follow.watched import Chosen, Everything
from batchwatch.cli.ids import ids_of
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code


def _a_number(seconds: float | None) -> float | None:
    if seconds is not None and not math.isfinite(seconds):  # nan is within any bounds
        raise typer.BadParameter(f"{seconds} is no number of seconds")
    return seconds


@command("watch")
def watch_them(  # noqa: PLR0913 - each is an option
    stack: Stack,
    out: Output,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID",
            help="Batches or jobs; - reads ids from standard input. [default: all with work left]",
            show_default=False,
        ),
    ] = None,
    account: AccountName = None,
    every: Annotated[
        float,
        typer.Option(
            "--every",
            min=0.1,
            max=3600,
            metavar="SECONDS",
            callback=_a_number,
            help="How often to look.",
        ),
    ] = 2.0,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=0,
            metavar="SECONDS",
            callback=_a_number,
            help="Stop watching after so long; exit code 5.",
        ),
    ] = None,
    until_ended: Annotated[
        bool,
        typer.Option("--until-ended", help="Do not wait for files: the last status is enough."),
    ] = False,
) -> Code:
    """Watch batches and jobs until they are over: ended, and their files archived.

    Without ids, all are watched that have work left, and new ones that appear; a job is one line
    in the place of its batches. On a terminal the lines move; else each change is a line, and with
    --json an object: of a batch as `list` has it, of a job as `jobs` has it.

    \b
      batchwatch watch
      batchwatch watch batch_68f2… job_4be1… --timeout 3600 || echo "bad news, or not yet"

    The ledger keeps counts in steps (the parameter ProgressSteps, a tenth by default), so a bar
    moves in jumps; between two polls, a minute, nothing moves at all. The pace is that of the last
    steps, and of the whole run at first; where nothing can be told of the time left, there is a
    dash. Looking costs one read for a hundred batches; OpenAI is not asked.

    Ctrl-C ends the watching only: batches go on, and are announced and archived all the same.

    Exit code: 0 all completed with answers and all files, even if some requests failed, which is
    told on stderr; 1 some did not, and are named; 5 after --timeout, what is still open is named;
    130 after Ctrl-C.
    """  # noqa: D301 - the mark that keeps lines in the help
    wanted = ids_of(ids, sys.stdin) if ids else None
    source = Chosen(stack, wanted, account) if wanted else Everything(stack, account)
    try:
        with screen_for(out) as screen:
            seen = watch(screen, source, Until(every, timeout, until_ended), paces_of(stack))
    finally:
        for trouble in source.unreadable if isinstance(source, Everything) else ():
            out.note(f"not watched: a {trouble}")
    if not seen:
        out.note("nothing is open: every batch is over")
    return verdict(out, seen)
