"""A poll of one account: its list first, then singly what the list does not tell.

First the open batches by the index, with their versions; then what OpenAI says of them; and what
is new goes to the observer, which decides on the item itself.
"""

from __future__ import annotations

import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from batchwatch.batch import Status
from batchwatch.crew import AT_ONCE, Crew, Patience
from batchwatch.discovery import DAY, Discovery, Memory, Wanted
from batchwatch.ending import HOUR
from batchwatch.errors import BadAnswerError, LedgerRowError, NotFoundError, OpenAIError
from batchwatch.listing import Walk
from batchwatch.observe import BACKSTOP
from batchwatch.record import Record, digest
from batchwatch.report import Problem, Report
from batchwatch.troubles import summed_up
from batchwatch.turns import in_turn, turn
from batchwatch.watch import news
from batchwatch.watermarks import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchwatch.batch import Batch
    from batchwatch.discovery import Search
    from batchwatch.ledger import Ledger
    from batchwatch.observe import Observer
    from batchwatch.openai import OpenAI, Page
    from batchwatch.watermarks import Watermarks

JUST_NOW = 60
"""Seconds that a list may lag without being distrusted: a batch can move between two requests."""
_DEEP = 0.1
"""Share of polls in which discovery looks deeper than must be."""
_NO_SUCH_PLACE = {400, 404}


class AccountPoll:
    """How accounts are polled, and what this process remembers of each."""

    def __init__(
        self,
        ledger: Ledger,
        watermarks: Watermarks,
        observer: Observer,
        wanted: Wanted,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger, self.watermarks, self.observer = ledger, watermarks, observer
        self.wanted = wanted
        self.clock = clock
        self._memories: dict[str, Memory] = {}

    def run(self, name: str, openai: OpenAI, stop_at: float = inf) -> Report:
        """Attend to every batch of an account that is open, or new.

        What `stop_at` leaves no time for is the next poll's, which begins somewhere else.
        """
        return Round(self, name, openai, stop_at, self._memories.setdefault(name, Memory())).go()

    def silent(self, name: str) -> bool:
        """Whether an account has not answered for long."""
        return name in self._memories and self._memories[name].silent(self.clock())


class Round:
    """One poll of one account, as far as it has come.

    running  what is under watch and has not ended, as the index showed it
    ranks    how far along the list showed those of them that it did
    unmoved  those that it showed with nothing new
    singly   those that are to be asked for one by one
    unknown  those that OpenAI does not know
    walks    from the top of the list, and where another was cut off
    behind   whether the list was caught lagging
    """

    def __init__(
        self, poll: AccountPoll, name: str, openai: OpenAI, stop_at: float, memory: Memory
    ) -> None:
        self._name, self._openai, self._memory = name, openai, memory
        self._observer, self._clock = poll.observer, poll.clock
        self._began = now = poll.clock()
        memory.silent_since = memory.silent_since or now  # until something is answered
        self._stop_at = stop_at
        self._crew = Crew(poll.clock, stop_at, AT_ONCE)
        self._patience = Patience()
        self._rows = in_turn(list(poll.ledger.open_rows(name)), now)
        self._report = Report(open=len(self._rows))
        good = [row.known for row in self._rows if not row.trouble]
        if poll.wanted.discovery:  # a row that cannot be read is in the table, too
            memory.known |= {r.known.batch_id: r.known.created_at or 0 for r in self._rows}
        self._running = {known.batch_id: known for known in good if not known.terminal}
        self._singly: dict[str, Record] = {}
        self._unmoved: list[Record] = []
        self._walks: list[Walk] = []
        self._unknown: list[Record] = []
        self._behind = False
        self._list_error: OpenAIError | None = None
        self._ranks: dict[str, int] = {}
        self._discovery = self._begin_discovery(poll)

    def go(self) -> Report:
        """Do it all."""
        try:
            self._deliver_what_is_left()
            self._look_through()
            self._look_after_the_ended()
            self._ask_singly()
            self._report += self._crew.finish()
            if self._patience.answered:  # else the address or the key may be wrong
                for known in self._unknown:
                    self._crew.add(known, partial(self._observer.missed, known))
                self._report += self._crew.finish()
        finally:
            self._crew.leave()
        self._note_what_was_learned()
        if self._memory.pending_since is not None:
            self._report.oldest_pending = self._began - self._memory.pending_since
        self._report.problems = summed_up(
            self._report.problems,
            self._name,
            self._memory,
            self._patience,
            list_error=self._list_error,
            oddities=self._oddities(),
            now=self._began,
        )
        return self._report

    def _begin_discovery(self, poll: AccountPoll) -> Discovery:
        """Read how far the list was looked through; where that cannot be read, only watch."""
        deep = turn(self._began) < _DEEP
        how = (self._name, self._began)
        try:
            return Discovery(poll.watermarks, self._memory, poll.wanted, *how, deep=deep)
        except LedgerRowError as error:
            self._report.problems.append(Problem(error, self._name))
            unread = Memory(mark=Watermark())
            return Discovery(poll.watermarks, unread, Wanted(discovery=False), *how, deep=deep)

    def _note_what_was_learned(self) -> None:
        """Write down how far the list was seen, and if it lagged; what fails is done next time."""
        try:
            if self._behind and not self._discovery.list_is_stale:
                self._discovery.distrust()
            self._discovery.move(self._walks[-1].last if self._walks else None)
        except Exception as error:  # noqa: BLE001 - told; the poll itself is done
            self._report.problems.append(Problem(error, self._name))

    def _deliver_what_is_left(self) -> None:
        """Publish what is in outboxes first: for that, OpenAI need not answer."""
        for row in self._rows:
            if row.trouble:
                trouble = Problem(row.trouble, self._name, row.known.batch_id)
                self._report.problems.append(trouble)
            elif row.known.outbox:
                self._crew.add(row.known, partial(self._observer.left_over, row.known))
        self._report += self._crew.finish()

    def _look_after_the_ended(self) -> None:
        """See that the archiver gets on; now and then, as each look is a read of the item."""
        if not self._memory.due("ended", self._began, BACKSTOP):
            return
        self._memory.pending_since = None
        for row in self._rows:
            if row.known.terminal and not row.trouble:
                self._crew.add(row.known, partial(self._ended, row.known))

    def _ended(self, known: Record) -> Report:
        report = self._observer.after_the_end(known, self._retrieve)
        if report.oldest_pending:
            since = self._memory.pending_since
            self._memory.pending_since = min(since or known.moved_at, known.moved_at)
        return report

    def _retrieve(self, batch_id: str) -> Batch:
        if self._patience.over:
            raise self._patience.over
        return self._patience.ask(partial(self._openai.retrieve, batch_id))

    # The list

    def _look_through(self) -> None:
        """Look through the list from its top; and then go on where another walk was cut off."""
        believed = not self._discovery.list_is_stale
        wanted = {i: k.created_at or 0 for i, k in self._running.items()} if believed else {}
        walk, below = Walk(self._page, wanted), self._discovery.below
        now = self._clock()  # to read the index of many batches has taken its time, too
        share = (self._stop_at - now) / (4 if below else 2)  # the rest is for what is asked singly
        self._take_pages(walk, self._discovery.top, now + share, believed=believed)
        left = walk.unseen if believed else self._running
        self._singly |= {batch_id: self._running[batch_id] for batch_id in left}
        if below and not self._patience.over:
            walk = Walk(self._page, {}, below.after)
            self._take_pages(walk, below, now + 2 * share, believed=False)

    def _page(self, after: str | None) -> Page:
        return self._patience.ask(partial(self._openai.page, after))

    def _take_pages(
        self, walk: Walk, search: Search | None, until: float, *, believed: bool
    ) -> None:
        self._walks.append(walk)
        enough = search.enough if search else _anything
        try:
            for page in walk.go(enough, lambda: self._clock() < until):
                for said in page:
                    if believed and (known := self._running.get(said.id)):
                        self._listed(known, said)
                if search:
                    self._take_new(search, page)
        except OpenAIError as error:
            self._walk_refused(walk, search, error)
        else:
            if search and walk.ended:
                search.done = True

    def _walk_refused(self, walk: Walk, search: Search | None, error: OpenAIError) -> None:
        place_refused = error.status in _NO_SUCH_PLACE and walk.last is not None
        if place_refused and search is self._discovery.below and not walk.pages:
            self._discovery.begin_anew()
        elif not (place_refused and (search is None or search.done)):  # a leap that was refused
            self._list_error = self._list_error or error
        if place_refused:
            walk.last = None  # nobody can go on there

    def _take_new(self, search: Search, page: Sequence[Batch]) -> None:
        for said in search.take(page):
            known = Record(account=self._name, batch_id=said.id)
            self._crew.add(known, partial(self._found, search, said))

    def _listed(self, known: Record, said: Batch) -> None:
        """Take in a row of the list; one that may be from before is asked for singly."""
        self._ranks[known.batch_id] = said.status.rank
        if said.missing or _may_be_old(known, said):
            self._singly[known.batch_id] = known
        elif self._is_news(known, said):
            self._crew.add(known, partial(self._attend, known, said))
        else:
            self._unmoved.append(known)

    def _found(self, search: Search, said: Batch) -> Report:
        """Take in a batch that nobody registered."""
        try:
            said = self._confirmed(said)
            history = search.ended_before(said)
            if history and not search.history:
                self._discovery.found(said)
                return Report()
            report = self._observer.found(self._name, said, history=history)
        except LedgerRowError:  # the table has it, if only in a way that nobody can read
            self._discovery.found(said)
            raise
        if report is None:
            return Report()
        self._discovery.found(said)
        return report

    def _confirmed(self, said: Batch) -> Batch:
        """Ask for a batch again of which the list may show what was true long ago."""
        old = (said.created_at or self._began) < self._began - DAY
        if said.status.terminal or not (old or self._discovery.list_is_stale):
            return said
        try:
            return self._retrieve(said.id)
        except OpenAIError as error:
            if error.passing:
                raise
            return said

    # One by one

    def _ask_singly(self) -> None:
        """Ask for what the list did not show; and for some that it did, to see if it is true."""
        lost_too = self._memory.due("lost", self._began, HOUR)
        for known in self._singly.values():
            if lost_too or not known.lost:
                self._crew.add(known, partial(self._ask, known))
        tries = max(1, sum(walk.pages for walk in self._walks) // 10)
        for known in in_turn(self._unmoved, self._began)[:tries]:
            self._crew.add(known, partial(self._ask, known))

    def _ask(self, known: Record) -> Report:
        listed = self._ranks.get(known.batch_id)
        if self._patience.over:
            return Report(left=listed is None)
        try:
            said = self._retrieve(known.batch_id)
        except NotFoundError:
            if listed is None:
                self._unknown.append(known)
            if known.lost:
                return Report()
            raise
        if listed is not None and said.status.rank > listed:
            # It may have moved since the page was made; what moved long ago had to be there.
            self._behind = self._behind or (said.status_at or 0) < self._began - JUST_NOW
        return self._attend(known, said)

    def _attend(self, known: Record, said: Batch) -> Report:
        return self._observer.saw(known, said) if self._is_news(known, said) else Report()

    def _is_news(self, known: Record, said: Batch) -> bool:
        return news(known, said, self._began, self._observer.rules)

    def _oddities(self) -> Iterator[BadAnswerError]:
        """What was odd about the list."""
        if unreadable := sum(walk.unreadable for walk in self._walks):
            yield BadAnswerError(f"{unreadable} rows of the list are no batches")
        if any(walk.broken for walk in self._walks):
            yield BadAnswerError("the list promises more, but does not say where")


def _may_be_old(known: Record, said: Batch) -> bool:
    """Whether a row shows what was before, or may: as far along as known, but otherwise."""
    if known.status is None or said.status.terminal:
        return False
    rank = said.status.rank
    if rank == known.status.rank:
        return digest(said) != known.digest
    return Status.UNKNOWN.rank < rank < known.status.rank


def _anything(_: Sequence[Batch]) -> bool:
    return True
