"""A poll of one account: its list first, then singly what the list does not tell.

First the open batches by the index, with their versions; then what OpenAI says of them; and what
is new goes to the observer, which decides on the item itself.
"""

from __future__ import annotations

import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar

from batchwatch.batch import Status
from batchwatch.crew import AT_ONCE, Crew, Patience
from batchwatch.discovery import Discovery, Memory
from batchwatch.errors import AccessError, BadAnswerError, NotFoundError, OpenAIError
from batchwatch.listing import Walk
from batchwatch.record import Record
from batchwatch.report import Problem, Report
from batchwatch.watch import news

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.batch import Batch
    from batchwatch.discovery import Search, Wanted
    from batchwatch.items import Row
    from batchwatch.ledger import Ledger
    from batchwatch.observe import Observer
    from batchwatch.openai import OpenAI, Page
    from batchwatch.watermarks import Watermarks

T = TypeVar("T")
JUST_NOW = 60
"""Seconds that a list may lag without being distrusted: a batch can move between two requests."""
_NO_LIST = {405, 501}
_NO_SUCH_PLACE = {400, 404}
_GOLDEN = (5**0.5 - 1) / 2


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
    singly   those of them that are still to be asked for one by one
    unmoved  those that the list showed with nothing new: the rank of their status
    unknown  those that OpenAI does not know
    behind   whether the list was caught lagging
    """

    def __init__(
        self, poll: AccountPoll, name: str, openai: OpenAI, stop_at: float, memory: Memory
    ) -> None:
        self._name, self._openai, self._memory = name, openai, memory
        self._observer, self._clock = poll.observer, poll.clock
        self._began = now = poll.clock()
        memory.silent_since = memory.silent_since or now  # until something is answered
        self._half_time = now + (stop_at - now) / 2
        self._crew = Crew(poll.clock, stop_at, AT_ONCE)
        self._patience = Patience()
        self._rows = in_turn(list(poll.ledger.open_rows(name)), now)
        self._report = Report(open=len(self._rows), oldest_pending=_oldest(self._rows, now))
        good = [row.known for row in self._rows if not row.trouble]
        memory.known |= {known.batch_id: known.created_at or 0 for known in good}
        self._running = {known.batch_id: known for known in good if not known.terminal}
        self._singly: dict[str, Record] = {}
        self._unmoved: dict[str, int] = {}
        self._unknown: list[Record] = []
        self._behind = False
        self._list_error: OpenAIError | None = None
        deep = int(now // 60 * _GOLDEN % 1 * 10) == 0
        self._discovery = Discovery(poll.watermarks, memory, poll.wanted, name, now, deep=deep)

    def go(self) -> Report:
        """Do it all."""
        try:
            self._deliver_what_is_left()
            walk = self._look_through()
            self._look_after_the_ended()
            self._ask_singly(walk.pages)
            self._report += self._crew.finish()
            if self._patience.answered:  # else the address or the key may be wrong
                for known in self._unknown:
                    self._crew.add(known, partial(self._observer.missed, known))
                self._report += self._crew.finish()
        finally:
            self._crew.leave()
        if self._behind and not self._discovery.list_is_stale:
            self._discovery.distrust()
        self._discovery.move(walk.last)
        self._report.problems = self._problems(walk.unreadable)
        return self._report

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
        for row in self._rows:
            if row.known.terminal and not row.trouble:
                ended = partial(self._observer.after_the_end, row.known, self._retrieve)
                self._crew.add(row.known, ended)

    def _retrieve(self, batch_id: str) -> Batch:
        if self._patience.over:
            raise self._patience.over
        return self._patience.ask(partial(self._openai.retrieve, batch_id))

    # The list

    def _look_through(self) -> Walk:
        """Look through the list; return the walk that may have to go on in the next poll."""
        believed = not self._discovery.list_is_stale
        wanted = {i: k.created_at or 0 for i, k in self._running.items()} if believed else {}
        walk = Walk(self._page, wanted)
        self._take_pages(walk, self._discovery.top, believed=believed)
        left = walk.unseen if believed else self._running
        self._singly |= {batch_id: self._running[batch_id] for batch_id in left}
        if self._discovery.below and not self._patience.over:
            walk = Walk(self._page, {}, self._discovery.below.after)
            self._take_pages(walk, self._discovery.below, believed=False)
        return walk

    def _page(self, after: str | None) -> Page:
        return self._patience.ask(partial(self._openai.page, after))

    def _take_pages(self, walk: Walk, search: Search | None, *, believed: bool) -> None:
        enough = search.enough if search else _anything
        try:
            for page in walk.go(enough, lambda: self._clock() < self._half_time):
                for said in page:
                    if believed and (known := self._running.get(said.id)):
                        self._listed(known, said)
                for said in search.take(page) if search else ():
                    known = Record(account=self._name, batch_id=said.id)
                    history = search is not None and search.ended_before(said)
                    self._crew.add(known, partial(self._found, said, history=history))
        except OpenAIError as error:
            if error.status not in _NO_SUCH_PLACE or not walk.last:
                self._list_error = self._list_error or error
            elif search is self._discovery.below and not walk.pages:
                self._discovery.begin_anew()
        else:
            if search and walk.ended:
                search.done = True

    def _listed(self, known: Record, said: Batch) -> None:
        """Take in a row of the list; one from before what is known is asked for singly."""
        rank = said.status.rank
        if known.status and Status.UNKNOWN.rank < rank < known.status.rank:
            self._behind = self._behind or known.moved_at < self._began - JUST_NOW
            self._singly[known.batch_id] = known
        elif self._is_news(known, said):
            self._crew.add(known, partial(self._attend, known, said))
        else:
            self._unmoved[known.batch_id] = rank

    def _found(self, said: Batch, *, history: bool) -> Report:
        report = self._observer.found(self._name, said, history=history)
        if report is None:
            return Report()
        self._discovery.found(said)
        return report

    # One by one

    def _ask_singly(self, pages: int) -> None:
        """Ask for what the list did not show; and for some that it did, to see if it is true."""
        lost = [known for known in self._singly.values() if known.lost]
        wanted = [known for known in self._singly.values() if not known.lost]
        for known in (*wanted, *in_turn(lost, self._began)[: -(-len(lost) // 60)]):
            self._crew.add(known, partial(self._ask, known))
        for batch_id in in_turn(list(self._unmoved), self._began)[: max(1, pages // 10)]:
            self._crew.add(self._running[batch_id], partial(self._try_the_list, batch_id))

    def _ask(self, known: Record) -> Report:
        if self._patience.over:
            return Report(left=1)
        try:
            said = self._retrieve(known.batch_id)
        except NotFoundError:
            self._unknown.append(known)
            if known.lost:
                return Report()
            raise
        return self._attend(known, said)

    def _try_the_list(self, batch_id: str) -> Report:
        if self._patience.over:
            return Report()
        said = self._retrieve(batch_id)
        if said.status.rank > self._unmoved[batch_id]:
            # It may have moved since the page was made; what moved long ago had to be there.
            self._behind = self._behind or (said.status_at or 0) < self._began - JUST_NOW
        return self._attend(self._running[batch_id], said)

    def _attend(self, known: Record, said: Batch) -> Report:
        return self._observer.saw(known, said) if self._is_news(known, said) else Report()

    def _is_news(self, known: Record, said: Batch) -> bool:
        return news(known, said, self._began, self._observer.rules)

    # What went wrong

    def _problems(self, unreadable: int) -> list[Problem]:
        """What went wrong; what is the matter with the account as a whole is told once."""
        problems = self._report.problems
        answered, over, error = self._patience.answered, self._patience.over, self._list_error
        if error and (error.status in _NO_LIST or (answered and isinstance(error, NotFoundError))):
            error, answered = None, True  # a provider without lists; it is asked one by one
        if answered:
            self._memory.silent_since = None
        silent = self._memory.silent(self._began)
        # One line, not one for each batch.
        if not answered:
            problems = [p for p in problems if not isinstance(p.error, OpenAIError)]
        elif over:
            problems = [p for p in problems if not _of_all(p.error)]
        found = [told] if (told := over or error) else []
        if unreadable:
            found.append(BadAnswerError(f"{unreadable} rows of the list are no batches"))
        return problems + [
            Problem(error, self._name, whole=silent or isinstance(error, AccessError))
            for error in found
        ]


def in_turn(items: Sequence[T], now: float) -> list[T]:
    """Begin elsewhere in each minute, such that even short polls soon come by everywhere."""
    start = int(now // 60 * _GOLDEN % 1 * len(items))
    return [*items[start:], *items[:start]]


def _anything(_: Sequence[Batch]) -> bool:
    return True


def _of_all(error: BaseException) -> bool:
    """Whether an error says more of the account than of one batch."""
    return isinstance(error, OpenAIError) and error.passing


def _oldest(rows: Iterable[Row], now: float) -> float:
    """Seconds for which files of an ended batch have been waiting, at most."""
    return max((now - row.known.moved_at for row in rows if row.known.terminal), default=0)
