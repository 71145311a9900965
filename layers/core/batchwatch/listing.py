"""A walk down the list of an account: from its newest batch, as far as that is worth a request.

A page shows a hundred batches, so the list is asked first. But open batches may be few and lie far
down: the walk ends where asking for the rest singly is cheaper, and leaps over what has ended.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from batchwatch.batch import Batch
    from batchwatch.openai import Page

MOST_PAGES = 1000
"""Pages of one walk: what a list that never ends can cost."""
_EACH = 5
"""Open batches that there must be for each page that shows none, or the walk is too dear."""


_CREATED = itemgetter(0)


class Walk:
    """One walk, as far as it has come.

    unseen      open batches that no page has shown, each with when it was created (0: not known)
    pages       how many were asked for
    unreadable  rows that are no batch
    last        the last cursor: where a later walk can go on
    ended       whether there was no more to see, or no more wanted
    broken      whether more was promised, but not where
    """

    def __init__(
        self,
        page: Callable[[str | None], Page],
        unseen: Mapping[str, int],
        after: str | None = None,
    ) -> None:
        self.unseen = dict(unseen)
        self.pages = 0
        self.unreadable = 0
        self.last = after
        self.ended = False
        self.broken = False
        self._page = page
        self._all = len(unseen)
        self._ages = Ages(unseen)
        self._empty = 0
        self._hope = 1

    def go(
        self, enough: Callable[[Sequence[Batch]], bool], in_time: Callable[[], bool]
    ) -> Iterator[list[Batch]]:
        """Yield what each page shows for the first time.

        `enough` is asked after each page whether anything but open batches is still looked for.
        """
        seen: set[str] = set()
        cursors = {self.last}
        while self.pages < MOST_PAGES and in_time():
            page = self._page(self.last)
            self.pages += 1
            self.unreadable += page.unreadable
            fresh = list({b.id: b for b in page.batches if b.id not in seen}.values())
            seen.update(batch.id for batch in fresh)
            shown = [b.id for b in fresh if b.id in self.unseen]
            for batch_id in shown:
                self._ages.drop(self.unseen.pop(batch_id), batch_id)
            yield fresh
            self._empty += not shown
            after = page.cursor
            if after is None or after in cursors or (page.batches and not fresh):
                # The end, or a list that goes round in circles.
                self.broken = after is None and page.more
                self.ended = not self.broken
                return
            if page.batches and enough(fresh):
                older, soon = self._ages.below(fresh)
                self._hope = (self._hope > 0 or bool(shown)) * soon
                if not self._worth_it(older, shown=bool(shown)):
                    self.ended = True
                    return
                if not (shown or self._hope):
                    after = self._ages.leap(fresh) or after
            cursors.add(after)
            self.last = after

    def _worth_it(self, older: int, *, shown: bool) -> bool:
        """Whether another page can be hoped to show more than one request's worth."""
        affordable = older >= _EACH and self._all >= _EACH * (self._empty + 1)
        return older > 1 and (shown or self._hope > 1 or affordable)


class Ages:
    """Open batches in the order of their creation: a page costs the same however many there are."""

    def __init__(self, created: Mapping[str, int]) -> None:
        self._oldest_first = sorted((at, batch_id) for batch_id, at in created.items())

    def drop(self, created: int, batch_id: str) -> None:
        """Forget a batch that was shown; as a rule, it is among the youngest."""
        del self._oldest_first[bisect_left(self._oldest_first, (created, batch_id))]

    def below(self, page: Sequence[Batch]) -> tuple[int, int]:
        """How many a next page may show, and how many it shows if it reaches as far as this one.

        What is younger than the page, the list leaves out. If it is not a page of newest first,
        nobody knows: any, and none.
        """
        since = oldest(page)
        if since is None:
            return len(self._oldest_first), 0
        older, span = self._until(since), (page[0].created_at or since) - since
        return older, older - self._before(since - span) if span else 0

    def leap(self, page: Sequence[Batch]) -> str | None:
        """Where to go on below a page that shows nothing open: at the next batch that is.

        (It is retrieved singly then.) None where its place in the list is not sure.
        """
        since = oldest(page)
        older = 0 if since is None else self._until(since)
        if not older:
            return None
        newest, there = self._oldest_first[older - 1]
        alone = self._before(newest) == older - 1
        return there if alone and since is not None and 0 < newest < since else None

    def _until(self, created: int) -> int:
        return bisect_right(self._oldest_first, created, key=_CREATED)

    def _before(self, created: int) -> int:
        return bisect_left(self._oldest_first, created, key=_CREATED)


def oldest(page: Sequence[Batch]) -> int | None:
    """When the oldest batch of a page was created; None if it is not a page of newest first."""
    created = [batch.created_at for batch in page if batch.created_at is not None]
    return created[-1] if created and created[0] >= created[-1] else None
