"""`batchwatch events`: what was told of a batch or a job, as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batchwatch.cli.command import AccountName, command
from batchwatch.cli.commands.show import find_job
from batchwatch.cli.ids import usable
from batchwatch.cli.look.history import history, timeline
from batchwatch.cli.look.kept import kept_events
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.submit.job import is_job_id

if TYPE_CHECKING:
    from batchwatch.cli.look.kept import Kept


@command("events")
def show_events(
    stack: Stack,
    out: Output,
    subject: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a batch (batch_…) or of a job (job_…).")
    ],
    account: AccountName = None,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Print the bytes on a terminal, too.")] = False,
) -> None:
    """Print every event of a batch or a job as it was sent.

    They are kept in the bucket. One a line, in sequence, byte for byte what subscribers got:
    CloudEvents in JSON, as docs/events has them. On a terminal, a readable line for each instead,
    unless --raw or --json is given. What is not sent yet is not among them (see show).

    \b
      batchwatch events batch_6b49d200819080aa9c1f3de5b7a90c42
      batchwatch events batch_6b49d200819080aa9c1f3de5b7a90c42 | jq -r .type

    Exit code: 0, also where nothing was told of it (then it had ended before the watch began, or
    was not seen yet); 3 it is not known.
    """  # noqa: D301 - click reads \b
    kept = _kept(stack, usable(subject), account)
    if not kept:
        _must_be_known(stack, subject, account)
        out.note(f"nothing was told of {subject} yet")
    elif out.live and not raw:
        for line in timeline(history(kept, {})):
            out.show(line)
    else:
        for each in kept:
            _print_exactly(out, each.text)


def _kept(stack: Stack, subject: str, account: str | None) -> list[Kept]:
    """Look under each account: what was told is there even where the ledger knows no more of it."""
    accounts = [account] if account else stack.catalogue.accounts()
    found = {name: kept for name in accounts if (kept := kept_events(stack, name, subject))}
    if len(found) > 1:
        names = ", ".join(found)
        cause = f"{subject} is known under several accounts: {names}"
        raise CommandError(Code.USAGE, cause, "choose one by --account")
    return next(iter(found.values()), [])


def _must_be_known(stack: Stack, subject: str, account: str | None) -> None:
    if is_job_id(subject):
        find_job(stack, subject)
    else:
        stack.find(subject, account)


def _print_exactly(out: Output, text: str) -> None:
    """Print a line of these very bytes, whatever encoding the terminal has."""
    out.answers.file.flush()
    stdout = getattr(out.answers.file, "buffer", None)
    if stdout is None:
        print(text, file=out.answers.file)
        return
    stdout.write(text.encode() + b"\n")
    stdout.flush()
