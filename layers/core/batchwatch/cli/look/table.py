"""What a list shows of each batch, in full and in short. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.cli.look import view
from batchwatch.cli.look.columns import Cell, Head, Step
from batchwatch.notify.digest import title
from batchwatch.notify.wording import about, clean, duration, number

if TYPE_CHECKING:
    from decimal import Decimal

    from batchwatch.items import Row
    from batchwatch.prices import Prices
    from batchwatch.record import Record

_HEADS = {
    "id": Head("id"),
    "account": Head("account"),
    "name": Head("name"),
    "status": Head("status"),
    "age": Head("age", right=True),
    "progress": Head("progress", "done", right=True),
    "errors": Head("errors", "err", right=True),
    "cost": Head("cost", right=True),
    "files": Head("files"),
}
STEPS = (
    Step("cut", "name", 30),
    Step("shorten", "age"),
    Step("shorten", "progress"),
    Step("cut", "name", 16),
    Step("shorten", "files"),
    Step("shorten", "errors"),
    Step("shorten", "cost"),
    Step("cut", "account", 8),
    Step("drop", "cost"),
    Step("drop", "files"),
    Step("cut", "name", 12),
    Step("drop", "errors"),
    Step("drop", "age"),
    Step("narrow"),
    Step("cut", "name", 8),
    Step("drop", "account"),
    Step("drop", "progress"),
    Step("drop", "name"),
)
"""What is given up, in this order, where the terminal is narrow; the name is what people know."""
_IN_SHORT = {"archived": "yes", "archiving": "…", "incomplete": "lost"}


def heads(*, several: bool) -> dict[str, Head]:
    """Return the columns; `several`: of more than one account."""
    return {name: head for name, head in _HEADS.items() if several or name != "account"}


def cells(row: Row, prices: Prices, now: float) -> dict[str, Cell]:
    """Return what a batch has in each column."""
    known, trouble = row
    batch = known.batch
    status = view.UNREADABLE if trouble else view.status_of(known)
    cost = prices.cost(batch) if batch else None
    name = clean(title(batch), 60) if batch else ""
    return {
        "id": Cell(clean(known.batch_id, 512)),
        "account": Cell(clean(known.account, 40)),
        "name": Cell(clean(trouble) if trouble else "" if name == known.batch_id else name),
        "status": Cell(clean(status, 20), style="red" if trouble else view.style_of(known)),
        "age": _age(now - known.created_at) if known.created_at is not None else Cell(""),
        "progress": _progress(known),
        "errors": _errors(known),
        "cost": _cost(cost.dollars) if cost else Cell(""),
        "files": _files(known),
    }


def _age(seconds: float) -> Cell:
    full = duration(seconds)
    count, unit, *_ = full.split()
    return Cell(full, f"{count}{unit[0]}")


def _progress(known: Record) -> Cell:
    """How many requests are done; of a batch that has ended, how many of them succeeded."""
    counts = known.batch and known.batch.counts
    if not counts:
        return Cell("")
    count, ok = ((counts.completed or 0), " ok") if known.terminal else (counts.done, "")
    total = counts.total or 0
    share = min(100, count * 100 // total) if total else 0
    short = f"{share}%" if share or not count else "<1%"
    return Cell(f"{number(count)}/{number(total)}{ok}", short + ok)


def _errors(known: Record) -> Cell:
    counts = known.batch and known.batch.counts
    failed = (counts.failed or 0) if counts else 0
    return Cell(number(failed), style="red") if failed else Cell("0" if counts else "")


def _cost(dollars: Decimal) -> Cell:
    full = about(dollars).removeprefix("about ").replace("under ", "<")
    return Cell(full, "<1¢" if 0 < dollars < 1 / 100 else full)


def _files(known: Record) -> Cell:
    said = view.files_of(known)
    style = "red" if view.incomplete(known) else ""
    return Cell(said, _IN_SHORT.get(said), style)
