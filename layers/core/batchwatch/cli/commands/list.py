"""`batchwatch list`: batches, the newest first."""

from __future__ import annotations

import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from batchwatch.cli.command import command
from batchwatch.cli.look import table, view
from batchwatch.cli.look.columns import fit
from batchwatch.cli.look.filters import STATUSES, Filters, read_filters
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.notify.wording import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchwatch.items import Row

_PAGE = 100
_NAMED = 3


@command("list")
def show_list(  # noqa: PLR0913 - one each
    stack: Stack,
    out: Output,
    *,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            "-s",
            metavar="STATUS",
            autocompletion=lambda: [*STATUSES],
            help="Only those in this status; repeatable. Any of OpenAI's (validating, "
            "in_progress, finalizing, completed, failed, expired, cancelling, cancelled), or open "
            "(work is left), new (not seen yet), lost (OpenAI knows it no more), incomplete (a "
            "file is gone or failed), unknown, unreadable.",
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            "-a",
            metavar="NAME",
            help="Only of this account. [default: all of which anything was ever told]",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="KEY=VALUE",
            help="Only those with this in their metadata; KEY alone: with any value. "
            "Repeatable: all must match.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only of this model; with or without its date, * for anything."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Only those made since then: an age (30m, 12h, 7d, 2w), or a time (2026-11-22, "
            "2026-11-22T08:00; of UTC, unless it says otherwise).",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only those made until then; a day counts to its end."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 30,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, page by page, without a limit.")
    ] = False,
) -> None:
    """List batches, the newest first.

    Shows of each its id, the name that its metadata gives it, status, age, how many of its
    requests are done (of those that have ended: how many are ok, as they succeeded), how many
    failed, what it cost (of those that have ended, at list prices), and whether its files are in
    the bucket. A narrow terminal has short forms or fewer of these; ids are never cut, and where
    no terminal is, everything is there in full.

    Age and --since are answered by an index, however many batches there are; --status open, new,
    validating, in_progress, finalizing and cancelling by the index of those with work left. Other
    filters look through the batches, the newest first, until enough are found: add --since.

    \b
      batchwatch list
      batchwatch list --status open
      batchwatch list --status failed --status expired --since 7d
      batchwatch list --metadata team=search --until 2026-11-01 --all
      batchwatch list --all --json | jq -r 'select(.cost_usd > 10) | .id'

    A row of the table that cannot be read has the status unreadable.

    Exit code: 0, also where nothing is found; 2 a filter could never match.
    """  # noqa: D301 - click reads \b
    filters = read_filters(
        statuses=status,
        metadata=metadata,
        model=model,
        since=since,
        until=until,
        now=time.time(),
    )
    accounts = [account] if account else stack.catalogue.accounts()
    passed_by: list[Row] = []
    few = None if everything or filters.of_content else limit + 1
    rows = _matching(_candidates(stack, accounts, filters, few), filters, passed_by)
    found = _show(
        stack,
        out,
        rows if everything else islice(rows, min(limit, sys.maxsize)),
        several=len(accounts) > 1,
    )
    more = not everything and found == limit and next(rows, None) is not None
    if more:
        out.note("… older ones: --all or --limit")
    _tell_unreadable(out, passed_by)
    if not found:
        told = " ".join(filter(None, [f"--account {account}" if account else "", filters.told()]))
        out.note(f"no batches with {told}" if told else _NOTHING)


_NOTHING = "no batches; new ones are found at the next poll"


def _candidates(
    stack: Stack, accounts: Sequence[str], filters: Filters, few: int | None
) -> Iterator[Row]:
    """Give every batch that may match, by the index that has the fewest others."""
    if filters.only_with_work_left:
        yield from stack.catalogue.with_work_left(accounts)
        return
    if not filters.timed:
        yield from stack.catalogue.undated(accounts)
    yield from stack.catalogue.newest(accounts, since=filters.since, until=filters.until, few=few)


def _matching(rows: Iterator[Row], filters: Filters, passed_by: list[Row]) -> Iterator[Row]:
    """Give the rows that match; those that cannot be read, and so not judged, go to `passed_by`."""
    for row in rows:
        if filters.match(row):
            yield row
        elif row.trouble:
            passed_by.append(row)


def _show(stack: Stack, out: Output, rows: Iterator[Row], *, several: bool) -> int:
    """Print rows as they come, a page at a time; return how many."""
    found = 0
    if out.as_json:
        for row in rows:
            out.emit(view.said_of_row(row, stack.prices))
            found += 1
        return found
    head = ""
    room = out.answers.width if out.answers.is_terminal else None
    while page := [*islice(rows, _PAGE)]:
        lines = [table.cells(row, stack.prices, time.time()) for row in page]
        layout = fit(lines, table.heads(several=several), table.STEPS, room)
        if layout.head.split() != head.split():
            head = layout.head
            out.show(Text(head, style="bold"))
        texts = [Text.assemble(*layout.line(line)) for line in lines]
        for text in texts:
            text.rstrip()
        out.show(Text("\n").join(texts))
        found += len(page)
    return found


def _tell_unreadable(out: Output, rows: Sequence[Row]) -> None:
    if rows:
        named = ", ".join(clean(row.known.batch_id, 512) for row in rows[:_NAMED])
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        out.note(
            f"{plural(len(rows), 'row')} cannot be read, and may belong here: {named}{more}; see "
            "--status unreadable"
        )
