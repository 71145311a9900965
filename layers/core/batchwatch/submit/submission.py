"""What Submitter is made of, put together from what all functions share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from batchwatch.archive import LEAST_PART, Archive
from batchwatch.outbox import Outbox
from batchwatch.submit.by_hand import ByHand
from batchwatch.submit.desk import Desk
from batchwatch.submit.inbox import Inbox, Rewritten
from batchwatch.submit.inbox_queue import InboxQueue
from batchwatch.submit.intake import Intake
from batchwatch.submit.jobs import Jobs
from batchwatch.submit.sending import Sending
from batchwatch.submit.submitter import Submitter
from batchwatch.submit.telling import Narrator
from batchwatch.watermarks import Watermarks

if TYPE_CHECKING:
    from batchwatch.runtime import Runtime


class Submission:
    """The runtime's part that only Submitter needs, so that the others do not import it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @cached_property
    def submitter(self) -> Submitter:
        """What Submitter does with a dropped file."""
        shared = self._runtime
        return Submitter(
            jobs=self.jobs,
            desk=self.desk,
            queue=self._queue,
            accounts=shared.accounts,
            openai=shared.openai,
            intake=self._intake,
            archive=shared.archive,
            narrator=self._narrator,
            clock=shared.clock,
        )

    @cached_property
    def by_hand(self) -> ByHand:
        """What Submitter does when somebody asks it."""
        shared = self._runtime
        return ByHand(
            jobs=self.jobs,
            desk=self.desk,
            ledger=shared.ledger,
            accounts=shared.accounts,
            openai=shared.openai,
            narrator=self._narrator,
            clock=shared.clock,
        )

    @cached_property
    def desk(self) -> Desk:
        """What Submitter does at each tick."""
        shared = self._runtime
        marks = Watermarks(shared.dynamodb, shared.settings.table)

        def list_is_stale(account: str) -> bool:
            return marks.get(account).stale_until > shared.clock()

        sending = Sending(self.jobs, shared.ledger, self._narrator, list_is_stale, shared.clock)
        return Desk(
            jobs=self.jobs,
            ledger=shared.ledger,
            outbox=Outbox(self.jobs, shared.publisher, shared.archive),
            queue=self._queue,
            accounts=shared.accounts,
            openai=shared.openai,
            sending=sending,
            narrator=self._narrator,
            clock=shared.clock,
        )

    @cached_property
    def jobs(self) -> Jobs:
        """The table of jobs."""
        return Jobs(self._runtime.dynamodb, self._runtime.settings.jobs)

    @cached_property
    def _intake(self) -> Intake:
        s, s3, accounts = self._runtime.settings, self._runtime.s3, self._runtime.accounts
        parts = Archive(s3, s.bucket, part_bytes=LEAST_PART)
        rejected = Rewritten(s3, s.bucket, part_bytes=LEAST_PART)
        return Intake(Inbox(s3, s.bucket), parts, rejected, accounts, s.on_bad_lines)

    @cached_property
    def _queue(self) -> InboxQueue:
        s = self._runtime.settings
        dead_letters = s.inbox_dead_letters
        return InboxQueue(self._runtime.sqs, queue=s.inbox_queue, dead_letters=dead_letters)

    @cached_property
    def _narrator(self) -> Narrator:
        s = self._runtime.settings
        return Narrator(f"urn:batchwatch:{s.stack}", s.bucket)
