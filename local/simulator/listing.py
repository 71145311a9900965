"""How the list of batches is served: truly, or as badly as some providers and gateways do."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.simulator.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.simulator.store import Batch, Store

_ON = ":on"  # ends the cursor that leads on from an empty page
_NEWEST = "newest"  # stands in it for the top of the list


@dataclass(slots=True)
class Listing:
    """What is wrong with the list; as it is made, nothing. Retrieves stay true in any case."""

    # What the rows show; a batch created after the moment shown is not among them
    stands_still: float | None = None  # the moment that they show for ever
    lags: float = 0  # seconds
    moves_when_asked: bool = False  # each shows what its last retrieve answered
    edit_row: Callable[[dict[str, Any]], object] | None = None  # returns what comes in its place
    # Which rows there are
    hidden: set[str] = field(default_factory=set)  # ids that only a retrieve finds
    repeats_rows: bool = False  # a page of at least two begins with the last row of that before
    # How the pages follow each other
    cursor_repeats: bool = False  # each is the first, and more are promised
    empty_page_at: int | None = None  # so many rows down, a page has none; its `last_id` leads on

    def page(self, store: Store, limit: int, after: str | None) -> dict[str, object]:
        """Answer with a page, newest first; RefusedError if `after` is no cursor."""
        now = self._moment(store.now())
        rows = self._oldest_first(store, now)
        cursor = None if self.cursor_repeats else after
        left = _left(rows, store, cursor)
        gap = self._rows_to_the_gap(len(rows), left, cursor)
        if gap == 0:
            return _page([], None, f"{cursor or _NEWEST}{_ON}", more=True)
        repeated = rows[left : left + 1] if self.repeats_rows and limit > 1 else []
        fresh = min(limit - len(repeated), gap or limit)
        told = [*repeated, *reversed(rows[max(0, left - fresh) : left])]
        more = self.cursor_repeats or left > fresh or fresh == gap
        first, last = (told[0].id, told[-1].id) if told else (None, None)
        return _page([self._row(batch, now) for batch in told], first, last, more=more)

    def _moment(self, now: float) -> float:
        """Tell which moment the list shows."""
        past = now - self.lags
        return past if self.stands_still is None else min(past, self.stands_still)

    def _oldest_first(self, store: Store, now: float) -> Sequence[Batch]:
        rows: Sequence[Batch] = store.oldest_first
        if self.lags or self.stands_still is not None:
            rows = rows[: bisect_right(rows, now, key=lambda batch: batch.created_at)]
        return [batch for batch in rows if batch.id not in self.hidden] if self.hidden else rows

    def _rows_to_the_gap(self, total: int, left: int, cursor: str | None) -> int | None:
        """Count the rows still to come before the empty page; None if it is not ahead."""
        at, told = self.empty_page_at, total - left
        if at is None or not told <= at <= total or (cursor or "").endswith(_ON):
            return None
        return at - told

    def _row(self, batch: Batch, now: float) -> object:
        if self.moves_when_asked:
            now = min(now, batch.created_at if batch.asked_at is None else batch.asked_at)
        row = batch.shown(now)
        return self.edit_row(row) if self.edit_row else row


def _left(rows: Sequence[Batch], store: Store, cursor: str | None) -> int:
    """Count the rows behind a cursor: the first so many of the rows, being the oldest."""
    if cursor is None or cursor == f"{_NEWEST}{_ON}":
        return len(rows)
    last = store.find(cursor.removesuffix(_ON))
    if last is None:
        raise RefusedError(400, f"No batch found with id '{cursor}'.", "after")
    return bisect_left(rows, last.place, key=lambda batch: batch.place)


def _page(
    data: list[object], first_id: str | None, last_id: str | None, *, more: bool
) -> dict[str, object]:
    return {
        "object": "list",
        "data": data,
        "first_id": first_id,
        "last_id": last_id,
        "has_more": more,
    }
