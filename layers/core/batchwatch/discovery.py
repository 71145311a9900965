"""Batches that nobody registered, found in the list of their account.

What had ended before the account was first polled is history: left alone, or (backfill) recorded
and archived without a word. Everything else that the table does not know yet is news.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.batch import Status
from batchwatch.ending import HOUR
from batchwatch.listing import oldest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.batch import Batch
    from batchwatch.watermarks import Watermark, Watermarks

DAY = 24 * HOUR
LOOK_BACK = 14 * DAY
"""How old a page of ended batches is at which a first walk turns round: none lives that long."""
FILES_LIVE = 31 * DAY
"""The same with backfill: OpenAI deletes output files after 30 days."""


LONG_SILENCE = 900
"""Seconds without one answer after which an account counts as one that cannot be used."""


class Wanted(NamedTuple):
    """Whether batches are looked for, and whether those of before are recorded too."""

    discovery: bool = True
    backfill: bool = False


@dataclass
class Memory:
    """What a process remembers of an account; lost with it, at the price of some reads.

    known         batches that the table has and nobody need look up again: id → creation
    silent_since  since when no request has been answered; None between polls that were
    unlisted_since  since when its list could not be had
    pending_since   when the batch ended whose files have been waiting for longest
    done          when what is done now and then was done last
    """

    mark: Watermark | None = None
    known: dict[str, int] = field(default_factory=dict)
    silent_since: float | None = None
    unlisted_since: float | None = None
    pending_since: float | None = None
    done: dict[str, float] = field(default_factory=dict)

    def due(self, what: str, now: float, every: float) -> bool:
        """Whether it is time for something that is done now and then; if so, it counts as done."""
        if now < self.done.get(what, -inf) + every:
            return False
        self.done[what] = now
        return True

    def silent(self, now: float) -> bool:
        """Whether it has not answered, or not told its list, for long."""
        moments = (self.silent_since, self.unlisted_since)
        return any(since is not None and now >= since + LONG_SILENCE for since in moments)


class Search:
    """What one walk down the list is looking for.

    `history`: it takes in what had ended before. `deep`: it looks an hour further down than must
    be, for batches that the list showed late.

    newest  when the newest batch that any walk has seen was created; none from the future
    done    whether it has seen all it should
    """

    def __init__(  # noqa: PLR0913 - what is known, and what is wanted
        self,
        mark: Watermark,
        memory: Memory,
        now: float,
        *,
        history: bool = False,
        deep: bool = False,
        after: str | None = None,
    ) -> None:
        self.after = after
        self.newest = mark.seen_through or 0
        self.done = False
        self._mark, self._memory, self._now = mark, memory, now
        self.history, self._deep = history, deep
        self._first = mark.seen_through is None or history
        self._turn = now - (FILES_LIVE if history else LOOK_BACK)
        self._found: set[str] = set()

    def take(self, page: Sequence[Batch]) -> list[Batch]:
        """Pick what the table may not have yet."""
        fresh = [batch for batch in page if self._wanted(batch)]
        self._found.update(batch.id for batch in fresh)
        # A date from the future would hide whatever is created until then.
        created = [b.created_at for b in page if b.created_at and b.created_at < self._now + HOUR]
        self.newest = max([self.newest, *created])
        return fresh

    def enough(self, page: Sequence[Batch]) -> bool:
        """Whether nothing is to be found below this page."""
        self.done = self.done or self._enough(page)
        return self.done

    def ended_before(self, batch: Batch) -> bool:
        """Whether a batch had ended before its account was first polled."""
        first = self._mark.first_polled_at or 0
        if batch.status is Status.UNKNOWN:  # whatever it means, it will hardly change any more
            return (batch.created_at or first) < first - LOOK_BACK
        ended_at = batch.status_at or batch.created_at or 0
        return batch.status.terminal and ended_at < first

    @property
    def stored(self) -> bool:
        """Whether all that was found is in the table by now."""
        return self._found <= self._memory.known.keys()

    def _enough(self, page: Sequence[Batch]) -> bool:
        if self._first:
            return all(_over(b) and (b.created_at or 0) < self._turn for b in page)
        since = oldest(page)
        nothing_new = not any(map(self._wanted, page))
        if since is None:  # without dates, what is known must do; the wrong way round, nothing does
            return nothing_new and not any(batch.created_at for batch in page)
        floor = (self._mark.seen_through or 0) - HOUR * self._deep
        return since < floor or (since == floor and nothing_new)

    def _wanted(self, batch: Batch) -> bool:
        seen_through = (self._mark.seen_through or 0) - HOUR  # see `deep`
        stored = not self._first and (batch.created_at or seen_through) < seen_through
        if stored or batch.id in self._memory.known:
            return False
        in_reach = self.history and (batch.created_at or 0) >= self._turn
        return in_reach or not self.ended_before(batch)


def _over(batch: Batch) -> bool:
    """Whether no more is to be expected of a batch that is old enough."""
    return batch.status.terminal or batch.status is Status.UNKNOWN


class Discovery:
    """Discovery in one poll of one account: a walk from the top, and one that goes on below."""

    def __init__(  # noqa: PLR0913 - where it is kept, what is wanted, of whom, when
        self,
        watermarks: Watermarks,
        memory: Memory,
        wanted: Wanted,
        account: str,
        now: float,
        *,
        deep: bool,
    ) -> None:
        self._watermarks, self._memory, self._account = watermarks, memory, account
        self._wanted, self._now = wanted, now
        self.mark = memory.mark = self._begun(memory.mark or watermarks.get(account))
        self._history = wanted.backfill and not self.mark.backfilled
        self.top: Search | None = None
        self.below: Search | None = None
        # A walk that was cut off before history was wanted would leave some of it out.
        resuming = self.mark.resume_after and (self.mark.resume_history or not self._history)
        if wanted.discovery and not resuming:
            self.top = Search(self.mark, memory, now, history=self._history, deep=deep)
        elif wanted.discovery:
            seen = self.mark.model_copy(update={"seen_through": self.mark.resume_to})
            self.top = Search(seen, memory, now, deep=deep)
            self.below = Search(
                self.mark,
                memory,
                now,
                history=self.mark.resume_history,
                deep=True,
                after=self.mark.resume_after,
            )

    @property
    def list_is_stale(self) -> bool:
        """Whether the list was caught lagging, so that it is not believed."""
        return self.mark.stale_until > self._now

    def distrust(self) -> None:
        """Do not believe the list for a day."""
        self._memory.mark = self._watermarks.distrust(self._account, self._now + DAY)

    def found(self, batch: Batch) -> None:
        """Note that a batch is in the table."""
        self._memory.known[batch.id] = batch.created_at or 0

    def move(self, at: str | None) -> None:
        """Write down how far the list has been seen; `at`: where the (lower) walk has come."""
        search = self.below or self.top
        if search is None or not search.stored:
            return
        through = self.mark.resume_to if self.below else search.newest
        if search.done:
            backfilled = self.mark.backfilled or search.history
            self._keep(seen_through=through, backfilled=backfilled)
        elif at is not None and at != self.mark.resume_after:
            self._keep(resume_after=at, resume_to=through, resume_history=search.history)

    def begin_anew(self) -> None:
        """Forget where a walk was cut off: the list no longer knows that place."""
        self._keep()

    def _keep(self, **how: object) -> None:
        nothing = {"resume_after": None, "resume_to": None, "resume_history": False}
        plain = self.mark.model_copy(update=nothing)
        after = plain.model_copy(update=how)
        if after == self.mark:
            return
        self._memory.mark = self._watermarks.move(self._account, after)
        floor = (after.seen_through or 0) - HOUR
        # (list: a thread of a poll that has ended may still note what it stored)
        self._memory.known = {i: at for i, at in list(self._memory.known.items()) if at >= floor}

    def _begun(self, mark: Watermark) -> Watermark:
        if self._wanted.discovery and mark.first_polled_at is None:
            return self._watermarks.begin(self._account, self._now)
        if not self._wanted.discovery and mark.first_polled_at is not None:
            return self._watermarks.forget(self._account)
        return mark
