"""A poll: what every open batch of an account is told of OpenAI, and what follows from it.

The order is what makes it safe: the version is read before OpenAI is asked, written on, and the
outbox is drained only from what the table holds.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from math import inf
from threading import Event
from typing import TYPE_CHECKING, Literal, NamedTuple

from batchwatch.errors import AccessError, NotFoundError, OpenAIError, SecretError
from batchwatch.record import FileState
from batchwatch.report import Problem, Report
from batchwatch.watch import HOUR, Witness, digest, progress, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.accounts import Accounts
    from batchwatch.batch import Batch
    from batchwatch.items import Row
    from batchwatch.ledger import Ledger
    from batchwatch.openai import Account, OpenAI
    from batchwatch.orders import Orders
    from batchwatch.outbox import Outbox
    from batchwatch.record import Record
    from batchwatch.sweep import Sweep
    from batchwatch.watch import Rules

BY = "poller"
AT_ONCE = 8
BACKSTOP = 900
"""Seconds after its end that a batch is left to the archiver alone. Then the poller looks after it,
and orders again, once an hour, what is neither done nor in work."""
_GOLDEN = (5**0.5 - 1) / 2


class Poller(NamedTuple):
    """Every account of the secret, polled side by side."""

    accounts: Accounts
    openai: Callable[[Account], OpenAI]
    account_poll: AccountPoll
    sweep: Sweep

    def poll(self, stop_at: float = inf) -> Report:
        """Poll each account until `stop_at`; one in trouble does not delay the others."""
        report = self.sweep.run()
        try:
            accounts, troubles = self.accounts.all()
        except SecretError as error:
            report.problems.append(Problem(error))
            return report
        report.problems += [Problem(trouble) for trouble in troubles]
        if not accounts and not troubles:
            report.problems.append(Problem(SecretError("the secret names no account yet")))
        with ThreadPoolExecutor(max(1, len(accounts))) as pool:
            jobs = [(a.name, pool.submit(self._poll_one, a, stop_at)) for a in accounts]
        for name, job in jobs:
            trouble = job.exception()
            report += Report(problems=[Problem(trouble, name)]) if trouble else job.result()
        return report

    def _poll_one(self, account: Account, stop_at: float) -> Report:
        return self.account_poll.run(account.name, self.openai(account), stop_at)


class AccountPoll(NamedTuple):
    """The poll of one account."""

    ledger: Ledger
    outbox: Outbox
    orders: Orders
    rules: Rules
    clock: Callable[[], float] = time.time

    def run(self, name: str, openai: OpenAI, stop_at: float = inf) -> Report:
        """Attend to every open batch of an account; one that fails does not stop the others.

        What `stop_at` leaves no time for is the next poll's, which begins somewhere else.
        """
        began = self.clock()
        rows = list(self.ledger.open_rows(name))
        key_refused = Event()

        def attend(row: Row) -> Report:
            if self.clock() >= stop_at:
                return Report(left=1)
            try:
                return self.attend(row, None if key_refused.is_set() else openai)
            except AccessError as error:
                if error.concerns_all:
                    key_refused.set()
                raise

        pool = ThreadPoolExecutor(AT_ONCE)
        done = [(row.known, pool.submit(attend, row)) for row in in_turn(rows, began)]
        wait((job for _, job in done), None if stop_at == inf else max(0, stop_at - self.clock()))
        # Who still waits for an answer is not waited for: whatever it writes is on its version.
        pool.shutdown(wait=False, cancel_futures=True)
        return _sum(done, Report(open=len(rows), oldest_pending=_oldest(rows, began)))

    def attend(self, row: Row, openai: OpenAI | None) -> Report:
        """Act on what the index said of a batch, and on what OpenAI (if any) says after that."""
        if row.trouble:
            raise row.trouble
        known = row.known
        report = Report()
        if known.outbox:  # somebody was interrupted; to go on, OpenAI need not be reachable
            report.events += self.outbox.deliver(self._read(known))
            report.repairs["Outbox"] += bool(report.events)
        if known.terminal:
            report += self._after_the_end(known, openai)
        elif openai:
            report += self._ask(known, openai)
        return report

    def _ask(self, known: Record, openai: OpenAI) -> Report:
        said = openai.retrieve(known.batch_id)
        if not _news(known, said, self.rules):
            return Report()
        record = self._read(known)
        if record.v != known.v:
            return Report()  # somebody wrote since; the next poll looks again
        return self._observe(record, said)

    def _read(self, known: Record) -> Record:
        return self.ledger.get(known.account, known.batch_id)

    def _observe(self, record: Record, said: Batch) -> Report:
        change = watch(record, said, Witness(BY, self.clock(), self.rules))
        if change:
            record = self.ledger.write(record, change)
        return Report(events=self.outbox.deliver(record))

    def _after_the_end(self, known: Record, openai: OpenAI | None) -> Report:
        """The archiver has the batch; look only if it is long at it."""
        if self.clock() < known.moved_at + BACKSTOP:
            return Report()
        record = self._read(known)
        report = Report(events=self.outbox.deliver(record))
        report.repairs["Order"] += self._order_again(record)
        if openai and _due(record, "ask_at", self.clock()):
            report += self._observe(record, _last_word(record, openai, self.clock()))
        return report

    def _order_again(self, record: Record) -> bool:
        """Order what nobody works on; False if there is nothing of that kind."""
        now = self.clock()
        waiting = [
            role
            for role, file in record.files.items()
            # A message whose worker died comes back by itself: give it that time.
            if file.state in {FileState.PENDING, FileState.COPYING}
            and not file.leased(now - BACKSTOP)
        ]
        if waiting:
            self.orders.give(record.account, record.batch_id)
        for role in waiting:
            self.ledger.mark_queued(record, role, now=now, until=now + HOUR)
        return bool(waiting)


def in_turn(rows: Sequence[Row], now: float) -> list[Row]:
    """Begin elsewhere in each minute, such that even short polls soon come by everywhere."""
    start = int(now // 60 * _GOLDEN % 1 * len(rows))
    return [*rows[start:], *rows[:start]]


def _oldest(rows: Iterable[Row], now: float) -> float:
    """Seconds for which files of an ended batch have been waiting, at most."""
    return max((now - row.known.moved_at for row in rows if row.known.terminal), default=0)


def _news(known: Record, said: Batch, rules: Rules) -> bool:
    """Whether an answer is worth a read of the item; an end that waits for its files is."""
    return (
        digest(said) != known.digest
        or progress(said, rules.progress_steps) > known.progress
        or said.status.terminal
    )


def _last_word(record: Record, openai: OpenAI, now: float) -> Batch:
    """What OpenAI says of an ended batch; what it said before, once it is no use asking."""
    try:
        return openai.retrieve(record.batch_id)
    except OpenAIError as error:
        in_vain = isinstance(error, NotFoundError) or _due(record, "give_up_at", now)
        if record.batch is None or not in_vain:
            raise
        return record.batch


def _due(record: Record, when: Literal["ask_at", "give_up_at"], now: float) -> bool:
    moments = (getattr(file, when) for file in record.files.values())
    return any(moment is not None and moment <= now for moment in moments)


def _sum(done: Iterable[tuple[Record, Future[Report]]], report: Report) -> Report:
    """Add up; a refused key is one problem of the account, not one of each batch."""
    refused: Problem | None = None
    for known, future in done:
        if not future.done() or future.cancelled():
            report.left += 1
            continue
        error = future.exception()
        if isinstance(error, AccessError) and error.concerns_all:
            refused = Problem(error, known.account)
        elif error:
            report.problems.append(Problem(error, known.account, known.batch_id))
        else:
            report += future.result()
    report.problems += [refused] if refused else []
    return report
