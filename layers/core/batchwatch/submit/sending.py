"""Making the batch of a part: never twice, never one that nobody knows of.

OpenAI has no key for a request to be made once. So the intent is written down first, the request
is sent once, with a mark in the metadata of the batch, and where the answer does not come, the
batch is looked for in the list by that mark before another one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from batchwatch.creating import NewBatch
from batchwatch.errors import BadAnswerError, OpenAIError, OrphanError
from batchwatch.report import Problem, Report
from batchwatch.submit.following import held, refused, why_refused
from batchwatch.submit.job import MARK, PartState, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchwatch.batch import Batch
    from batchwatch.ledger import Ledger
    from batchwatch.openai import OpenAI
    from batchwatch.submit.job import Job, Part
    from batchwatch.submit.jobs import Jobs
    from batchwatch.submit.queueing import Turn
    from batchwatch.submit.telling import Narrator

UNDER_WAY = 10
"""Seconds that an answer may well take; after them, somebody else looks for the batch."""
SETTLED = 300
"""Seconds after which a batch that was made shows in the list, and no request is under way."""
SKEW = 3600
"""Seconds by which OpenAI's clock may differ from ours."""
_NAMES = ("name", "title", "job", "description")
_MOST_PAIRS = 16


class Sending(NamedTuple):
    """Where batches are made and noted. `list_is_stale`: of which accounts the list lags."""

    jobs: Jobs
    ledger: Ledger
    narrator: Narrator
    list_is_stale: Callable[[str], bool]
    clock: Callable[[], float]

    def send(self, turn: Turn, openai: OpenAI) -> Report:
        """Make the batch of a part whose turn it is, unless somebody else does."""
        sender = uuid4().hex
        job = self.jobs.change(turn.job_id, lambda job: self._taken(job, turn, sender)).job
        part = job.part(turn.number)
        if part.state is not PartState.SENDING or part.sender != sender:
            return Report()
        try:
            batch = openai.create(new_batch(job, part))
        except OpenAIError as error:
            return self._not_made(job, part, error, turn.live, openai)
        return self._made(job, part, batch, openai)

    def settle(self, job: Job, part: Part, openai: OpenAI) -> Report:
        """Find out what became of a part that was being sent by somebody who is not heard of."""
        now, sent_at = self.clock(), part.sent_at or 0
        if now < sent_at + UNDER_WAY:
            return Report()
        try:
            batches = list(marked(job.mark(part), openai, sent_at - SKEW))
            certain = now >= sent_at + SETTLED
            if not batches and certain and self.list_is_stale(job.account):
                raise BadAnswerError("the list lags, so that a batch may be missing in it")
        except OpenAIError as error:
            self.jobs.change(job.job_id, self._waits(part, Why.UNCERTAIN))
            return Report(problems=[Problem(error, job.account)])
        if batches:
            report = self._made(job, part, batches[-1], openai)  # the first that was made
            for other in batches[:-1]:
                report += self._drop(job, other, openai)
            return report
        if certain:
            back = part.but(state=PartState.UPLOADED, sender=None)
            self.jobs.change(job.job_id, lambda job: _instead(job, part, back))
        return Report()

    def register(self, job: Job, part: Part) -> None:
        """Put the batch of a part under watch."""
        self.ledger.register(job.account, part.batch_id or "")

    def _taken(self, job: Job, turn: Turn, sender: str) -> Job | None:
        part = job.part(turn.number)
        if job.cancelled or part.state is not PartState.UPLOADED:
            return None
        now = self.clock()
        return job.with_part(part.but(state=PartState.SENDING, sender=sender, sent_at=now))

    def _made(self, job: Job, part: Part, batch: Batch, openai: OpenAI) -> Report:
        live = part.but(state=PartState.LIVE, batch_id=batch.id, sender=None)

        def note(job: Job) -> Job | None:
            noted = _instead(job, part, live)
            return noted and self.narrator.submitted(noted, self.clock())

        job = self.jobs.change(job.job_id, note).job
        if job.part(part.number).batch_id != batch.id:
            return self._drop(job, batch, openai)
        self.register(job, live)
        return Report()

    def _not_made(
        self, job: Job, part: Part, error: OpenAIError, live: int, openai: OpenAI
    ) -> Report:
        report = Report(problems=[Problem(error, job.account)])
        if error.uncertain:
            return report + self._look_at_once(job, part, openai)
        now, why = self.clock(), why_refused(error)
        back = part.but(state=PartState.UPLOADED, sender=None)
        back = held(back, why, now, live) if why else refused(back, str(error))

        def note(job: Job) -> Job | None:
            noted = _instead(job, part, back)
            if noted and why:
                return self.narrator.waiting(noted, why, now)
            return noted and self.narrator.submitted(noted, now)

        self.jobs.change(job.job_id, note)
        return report

    def _look_at_once(self, job: Job, part: Part, openai: OpenAI) -> Report:
        """Adopt the batch if the list shows it already; else it is looked for again, and again."""
        try:
            batches = list(marked(job.mark(part), openai, (part.sent_at or 0) - SKEW))
        except OpenAIError:
            return Report()
        return self._made(job, part, batches[-1], openai) if batches else Report()

    def _waits(self, part: Part, why: Why) -> Callable[[Job], Job | None]:
        def note(job: Job) -> Job | None:
            still = job.part(part.number) == part
            return self.narrator.waiting(job, why, self.clock()) if still else None

        return note

    def _drop(self, job: Job, batch: Batch, openai: OpenAI) -> Report:
        """Cancel a batch that is one too many; this must not happen, so it is told."""
        openai.cancel(batch.id)
        error = OrphanError("a second batch of one part was found, and cancelled")
        return Report(problems=[Problem(error, job.account, batch.id)])


def new_batch(job: Job, part: Part) -> NewBatch:
    """Put together what is asked of OpenAI: as the owner wants it, and marked as ours."""
    options = job.options
    metadata = {**options.metadata, MARK: job.mark(part)}
    if len(metadata) < _MOST_PAIRS and not any(name in metadata for name in _NAMES):
        name = job.key.rpartition("/")[2][:400]
        several = len(job.parts) > 1
        metadata["name"] = f"{name} {part.number}/{len(job.parts)}" if several else name
    return NewBatch(
        input_file_id=part.file_id or "",
        endpoint=part.endpoint,
        completion_window=options.completion_window,
        metadata=metadata,
        output_expires_after=options.output_expires_after,
    )


def marked(mark: str, openai: OpenAI, since: float) -> Iterator[Batch]:
    """Look for the batches with a mark among those made since a moment, the newest first."""
    after: str | None = None
    cursors = set()
    while True:
        page = openai.page(after)
        if page.unreadable:
            raise BadAnswerError("some rows of the list cannot be read")
        for batch in page.batches:
            if (batch.metadata or {}).get(MARK) == mark:
                yield batch
        old = [b for b in page.batches if b.created_at is not None and b.created_at < since]
        if old or not page.more:
            return
        if page.cursor is None or page.cursor in cursors:
            raise BadAnswerError("the list does not come to an end")
        after = page.cursor
        cursors.add(after)


def _instead(job: Job, part: Part, other: Part) -> Job | None:
    """Put a part in the place of what it was; None if that is something else by now."""
    return job.with_part(other) if job.part(part.number) == part else None
