"""What follows from an answer of OpenAI about a batch, whoever asked for it.

The order is what makes it safe: the version was read before OpenAI was asked, is written on, and
the outbox is drained only from what the table holds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from batchwatch.ending import HOUR
from batchwatch.errors import NotFoundError, OpenAIError
from batchwatch.report import Problem, Report
from batchwatch.telling import Witness
from batchwatch.watch import ended_before, missed, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.batch import Batch
    from batchwatch.ledger import Ledger
    from batchwatch.orders import Orders
    from batchwatch.outbox import Outbox
    from batchwatch.record import Change, Record
    from batchwatch.telling import Rules

BACKSTOP = 900
"""Seconds after its end that a batch is left to the archiver alone. Then the poller looks after it,
and orders again, once an hour, what is neither done nor in work."""
GIVE_UP = 30 * 24 * HOUR
"""Seconds that a lost batch is still looked for: as long as its files could be had."""


class Observer(NamedTuple):
    """Who observes (`by`), and where observations go.

    `known` is what the index showed of a batch before OpenAI was asked.
    """

    by: str
    ledger: Ledger
    outbox: Outbox[Record]
    orders: Orders
    rules: Rules
    clock: Callable[[], float] = time.time

    def left_over(self, known: Record) -> Report:
        """Publish what somebody was interrupted in; OpenAI need not be reachable for that."""
        report = Report.of(self.outbox.deliver(self._read(known)))
        report.repairs["Outbox"] += bool(report.events)
        return report

    def saw(self, known: Record, said: Batch) -> Report:
        """Take in what OpenAI says of a batch that is under watch."""
        record = self._read(known)
        if record.v != known.v:
            return Report()  # somebody wrote since; the next poll looks again
        return self.take_in(record, said)[1]

    def take_in(self, record: Record, said: Batch) -> tuple[Record, Report]:
        """Take in an answer to a question asked after `record` was read; return what it is now.

        What was left in its outbox goes out, too.
        """
        return self._written(record, watch(record, said, self._witness()))

    def missed(self, known: Record) -> Report:
        """Take in that OpenAI does not know a batch that is under watch."""
        record = self._read(known)
        if record.v != known.v or record.terminal:
            return Report()
        _, report = self._written(record, missed(record, self._witness()))
        if record.lost_at is not None and self.clock() >= record.lost_at + GIVE_UP:
            self.ledger.abandon(record)
        return report

    def found(self, account: str, said: Batch, *, history: bool) -> Report | None:
        """Take in a batch that the index did not show; None if somebody is about to.

        `history`: it had ended before anybody watched, so it is archived without a word.
        """
        record = self.ledger.get(account, said.id)
        if record.v:
            return Report()
        if record.open:
            return None  # just registered: announced, whenever it ended
        if not history:
            return self.take_in(record, said)[1]
        _, report = self._written(*ended_before(account, said, self._witness()))
        self.orders.give(account, said.id)
        return report

    def after_the_end(self, known: Record, retrieve: Callable[[str], Batch]) -> Report:
        """The archiver has the batch; look only if it is long at it."""
        if self.clock() < known.moved_at + BACKSTOP:
            return Report()
        record = self._read(known)
        report = Report.of(self.outbox.deliver(record))
        if not record.archived:
            report.oldest_pending = self.clock() - record.moved_at
        report.repairs["Order"] += self._order_again(record)
        if _due(record, "ask_at", self.clock()):
            try:
                said = _last_word(record, retrieve, self.clock())
            except OpenAIError as error:
                report.problems.append(Problem(error, record.account, record.batch_id))
            else:
                report += self.take_in(record, said)[1]
        return report

    def _read(self, known: Record) -> Record:
        return self.ledger.get(known.account, known.batch_id)

    def _witness(self) -> Witness:
        return Witness(self.by, self.clock(), self.rules)

    def _written(self, record: Record, change: Change | None) -> tuple[Record, Report]:
        if change:
            record = self.ledger.write(record, change)
        return record, Report.of(self.outbox.deliver(record))

    def _order_again(self, record: Record) -> bool:
        """Order what nobody works on; False if there is nothing of that kind."""
        now = self.clock()
        waiting = [
            role
            for role, file in record.files.items()
            # A message whose worker died comes back by itself: give it that time.
            if file.state.wanted and not file.leased(now - BACKSTOP)
        ]
        if waiting:
            self.orders.give(record.account, record.batch_id)
        for role in waiting:
            self.ledger.mark_queued(record, role, now=now, until=now + HOUR)
        return bool(waiting)


def _last_word(record: Record, retrieve: Callable[[str], Batch], now: float) -> Batch:
    """What OpenAI says of an ended batch; what it said before, once it is no use asking."""
    try:
        return retrieve(record.batch_id)
    except OpenAIError as error:
        in_vain = isinstance(error, NotFoundError) or _due(record, "give_up_at", now)
        if record.batch is None or not in_vain:
            raise
        return record.batch


def _due(record: Record, when: Literal["ask_at", "give_up_at"], now: float) -> bool:
    moments = (getattr(file, when) for file in record.files.values())
    return any(moment is not None and moment <= now for moment in moments)
