"""`batchwatch list`: batches, the newest first."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from batchwatch.cli import view
from batchwatch.cli.command import AccountName, command
from batchwatch.cli.output import Output
from batchwatch.cli.stack import Stack
from batchwatch.notify.digest import title
from batchwatch.notify.wording import about, clean, duration, number

if TYPE_CHECKING:
    from batchwatch.items import Row
    from batchwatch.prices import Prices


@command("list")
def show_list(
    stack: Stack,
    out: Output,
    account: AccountName = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 30,
) -> None:
    """Show batches, the newest first."""
    accounts = [account] if account else stack.catalogue.accounts()
    rows = islice(stack.catalogue.newest(accounts), limit)
    if out.as_json:
        for row in rows:
            out.emit(view.said(row.known, stack.prices))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "status", "age", "requests", "cost", "files"):
        table.add_column(column, no_wrap=True)
    for cells in (_cells(row, stack.prices) for row in rows):
        table.add_row(*cells)
    if not table.row_count:
        out.note("no batches; new ones are found at the next poll")
        return
    out.show(table)


def _cells(row: Row, prices: Prices) -> tuple[str | Text, ...]:
    known = row.known
    batch, status = known.batch, view.status_of(known)
    cost = prices.cost(batch) if batch else None
    return (
        clean(known.batch_id),
        clean(title(batch), 40) if batch else "",
        Text(clean(status, 20), style=view.STYLE.get(status, "")),
        duration(time.time() - known.created_at) if known.created_at else "",
        f"{number(batch.counts.done)}/{number(batch.counts.total or 0)}"
        if batch and batch.counts
        else "",
        about(cost.dollars).removeprefix("about ") if cost else "",
        view.files_of(known),
    )
