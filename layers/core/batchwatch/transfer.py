"""Archiving a batch: every file to its end, each under a lease, the last one telling of it."""

from __future__ import annotations

import json
import time
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from batchwatch.batch import Role
from batchwatch.copying import Copying
from batchwatch.download import Source
from batchwatch.ending import HOUR, file_ended
from batchwatch.errors import (
    BadMessageError,
    CopyError,
    LedgerRowError,
    LostLeaseError,
    NotFoundError,
    OpenAIError,
    SpentError,
    UnsafeIdError,
)
from batchwatch.orders import read_order
from batchwatch.place import archive_key
from batchwatch.record import File, FileState, ended
from batchwatch.report import Problem, Report
from batchwatch.telling import Witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.accounts import Accounts
    from batchwatch.archive import Archive, Stored
    from batchwatch.batch import Batch
    from batchwatch.ledger import Ledger
    from batchwatch.openai import Account, OpenAI
    from batchwatch.orders import Order, Orders
    from batchwatch.outbox import Outbox
    from batchwatch.record import Record, Upload
    from batchwatch.telling import Rules

BY = "archiver"
LEFT_OVER = 60
"""Seconds before the end of an invocation at which a copy stops: OpenAI may be silent for 30."""
AT_ONCE = 2
"""Seconds until a copy goes on that came further."""


class Shift(NamedTuple):
    """Who works, until when its leases hold, and when it should stop by itself."""

    owner: str
    until: float
    stop_at: float = inf

    @classmethod
    def of(cls, owner: str, now: float, seconds: float) -> Self:
        """Plan the `seconds` that an invocation has: at the end, time for what is in hand."""
        return cls(owner, now + seconds, now + seconds - min(LEFT_OVER, seconds / 5))


class Archiver(NamedTuple):
    """The queue worked off, message by message."""

    transfer: Transfer
    orders: Orders
    accounts: Accounts
    openai: Callable[[Account], OpenAI]
    longest_retry: float

    def work(self, message: dict[str, Any], shift: Shift) -> Report:
        """Do what a message asks. With `again` set it is not done and comes back then."""
        order: Order | None = None
        try:
            order = read_order(message.get("body", ""))
            account = self.accounts.get(order.account)
            report = self.transfer.batch(order, self.openai(account), shift)
        except BadMessageError as error:
            self.orders.set_aside(message)
            return Report(problems=[_problem(error, order)])
        except Exception as error:  # noqa: BLE001 - told, and tried again
            report = Report(problems=[_problem(error, order)], again=0)
        if report.again is not None:
            wait = AT_ONCE if report.further else self._backoff(message)
            report.again = max(report.again, wait)
            report.problems += self._let_come_back(message, report.again)
        return report

    def _let_come_back(self, message: dict[str, Any], seconds: float) -> list[Problem]:
        """Shorten or lengthen the wait; where that is refused, the queue's own time applies."""
        try:
            self.orders.again(message, seconds)
        except Exception as error:  # noqa: BLE001 - the message has perhaps come back already
            return [Problem(error)]
        return []

    def _backoff(self, message: dict[str, Any]) -> float:
        """Two seconds, doubling with every time the message was received."""
        received = int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
        return min(2.0 ** min(received, 20), self.longest_retry)


class Transfer(NamedTuple):
    """The collaborators of the archiver. `tries`: how often a file may come out wrong."""

    ledger: Ledger
    outbox: Outbox[Record]
    archive: Archive
    rules: Rules
    tries: int
    clock: Callable[[], float] = time.time

    def batch(self, order: Order, openai: OpenAI, shift: Shift) -> Report:
        """Bring every file of a batch to its end; one that cannot be had now comes again."""
        report = Report()
        if not self.ledger.get(order.account, order.batch_id).terminal:
            raise BadMessageError("an order for a batch that the ledger does not show as ended")
        for role in (Role.RECORD, Role.ERROR, Role.INPUT, Role.OUTPUT):  # the small ones first
            if self.clock() >= shift.stop_at:
                report += Report(again=0)  # not begun, so no try of it
                continue
            try:
                report += self._file(order, role, openai, shift)
            except Exception as error:  # noqa: BLE001 - one file never holds up the others
                report += Report(problems=[_problem(error, order)], again=0)
        report += Report.of(self.outbox.deliver(self.ledger.get(order.account, order.batch_id)))
        return report

    def _file(self, order: Order, role: Role, openai: OpenAI, shift: Shift) -> Report:
        record = self.ledger.get(order.account, order.batch_id)  # the file before took its time
        file = record.files.get(role)
        if file is None or not file.state.wanted:
            return Report()  # nothing to do, or (awaited) nothing yet: the poller orders again
        now = self.clock()
        claimed = self.ledger.claim(record, role, owner=shift.owner, now=now, until=shift.until)
        if claimed is None:
            return self._taken(record, role)
        try:
            return self._finish(claimed, role, self._copy(claimed, role, openai, shift), shift)
        except LostLeaseError:
            return self._taken(claimed, role)
        except Exception as error:  # noqa: BLE001 - judged
            return self._failed(claimed, role, error, shift)

    def _finish(self, known: Record, role: Role, end: File, shift: Shift) -> Report:
        """Write the end of a file down; of one that is given up, nothing is left behind."""
        record = self.ledger.get(known.account, known.batch_id)
        file = record.files[role]
        if end.state is not FileState.ARCHIVED:
            if file.lease and file.lease.owner != shift.owner:
                raise LostLeaseError("the lease has passed to another worker")
            if file.upload and record.batch:
                key = archive_key(record.account, record.batch, role)
                self.archive.abort(key, file.upload.id)
        witness = Witness(BY, self.clock(), self.rules)
        # Refused: decide on what is there. What was done before a further attempt counts no more.
        while record.attempt == known.attempt and (
            change := file_ended(record, role, end, witness)
        ):
            record = self.ledger.write(record, change)
        return Report(bytes_archived=end.bytes or 0)

    def _failed(self, claimed: Record, role: Role, error: Exception, shift: Shift) -> Report:
        """Judge a try that failed: it ends the file, or the lease goes back for another."""
        before, now = claimed.files[role], self.clock()
        after = self.ledger.get(claimed.account, claimed.batch_id).files[role]
        further = came_further(before.upload, after.upload)
        tried = _counts(error) and not further
        missing_since = None
        if isinstance(error, NotFoundError):
            missing_since = now if before.missing_since is None else before.missing_since
        if end := self._verdict(before, error, tried=tried, missing_since=missing_since):
            return self._finish(claimed, role, end, shift)
        self.ledger.give_back(
            claimed,
            role,
            owner=shift.owner,
            until=now + HOUR,
            tried=tried,
            missing_since=missing_since,
        )
        problem = Problem(error, claimed.account, claimed.batch_id)
        return Report(problems=[problem], again=0, further=further)

    def _verdict(
        self, file: File, error: Exception, *, tried: bool, missing_since: float | None
    ) -> File | None:
        """Whether a failure is the end of a file; None: it is worth another try."""
        if missing_since is not None:
            over = self.clock() >= missing_since + self.rules.grace
            return ended(file, FileState.GONE, reason=str(error)) if over else None
        given_up = tried and file.tries + 1 >= self.tries
        if given_up or isinstance(error, UnsafeIdError):
            return ended(file, FileState.FAILED, reason=str(error))
        return None

    def _taken(self, record: Record, role: Role) -> Report:
        """Somebody else has the file: come back when the lease ends, if it is not done then."""
        file = self.ledger.get(record.account, record.batch_id).files.get(role)
        if file is None or file.state.final:
            return Report()
        if file.lease is None or not file.by_worker:
            return Report(again=1)  # it was given back at this moment
        return Report(again=max(1, file.lease.until - self.clock()))

    def _copy(self, record: Record, role: Role, openai: OpenAI, shift: Shift) -> File:
        file, batch = record.files[role], record.batch
        if batch is None:
            raise LedgerRowError("an ended batch without its object")
        key = archive_key(record.account, batch, role)
        if role is Role.RECORD:
            self._must_have_tries(file)
            said = _last_words(batch, openai)
            stored = self.archive.put(key, json.dumps(said, ensure_ascii=False).encode())
        else:
            stored = self._copy_file(record, role, openai, shift, key)
        return ended(
            file,
            FileState.ARCHIVED,
            s3_uri=stored.s3_uri,
            bytes=stored.size,
            lines=stored.lines,
            crc32=stored.crc32,
        )

    def _copy_file(
        self, record: Record, role: Role, openai: OpenAI, shift: Shift, key: str
    ) -> Stored:
        file = record.files[role]

        def note(upload: Upload | None) -> None:
            if not self.ledger.note_upload(record, role, upload, owner=shift.owner):
                raise LostLeaseError("the lease has passed to another worker")

        copying = Copying(self.archive, key, note, lambda: self.clock() >= shift.stop_at)
        if file.upload and (stored := copying.settle(file.upload)):
            return stored
        self._must_have_tries(file)
        etag = file.upload.etag if file.upload else None
        return copying.copy(Source(openai, openai.file(file.file_id or ""), etag), file.upload)

    def _must_have_tries(self, file: File) -> None:
        """Refuse a file whose last workers all died, so that nobody could count for them."""
        if file.tries >= self.tries:
            raise SpentError("no try came to an end")


def came_further(before: Upload | None, after: Upload | None) -> bool:
    """Whether a try noted more parts to build on than the one before, be it in a new upload."""
    if after is None or after.size is None:
        return False
    return after.parts > (before.parts if before else 0)


def _counts(error: Exception) -> bool:
    """Whether a failure speaks against the file, which may happen only so often."""
    if isinstance(error, OpenAIError):
        return not (error.passing or isinstance(error, NotFoundError))
    return isinstance(error, CopyError)


def _problem(error: Exception, order: Order | None) -> Problem:
    return Problem(error, order.account, order.batch_id) if order else Problem(error)


def _last_words(batch: Batch, openai: OpenAI) -> dict[str, object]:
    """The batch asked for afresh, uncut; what we kept where OpenAI has forgotten it."""
    try:
        said = openai.retrieve(batch.id)
    except NotFoundError:
        return batch.said
    return said.said if said.status.terminal else batch.said
