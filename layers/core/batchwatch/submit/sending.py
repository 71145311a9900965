"""Making the batch of a part: never twice, never one that nobody knows of.

OpenAI has no key for a request to be made once. So the intent is written down first, the request
is sent once, with a mark in the metadata of the batch, and where the answer does not come, the
batch is looked for in the list by that mark before another one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from batchwatch.creating import MOST_PAIRS, NewBatch
from batchwatch.errors import BadAnswerError, EndedError, OpenAIError, OrphanError, ParameterError
from batchwatch.report import Problem, Report
from batchwatch.submit.following import held, line_held, refused, why_refused
from batchwatch.submit.job import PartState
from batchwatch.submit.unrun import MARK, Why

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
"""Seconds by which OpenAI's clock may differ from ours, at most."""
JUST_BEFORE = 60
"""Seconds by which it does as a rule."""
OVER = 3 * 24 * 3600
"""Seconds after which any batch has ended."""
_NAMES = ("name", "title", "job", "description")


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
        part = job.part(turn.part.number)
        late = self.clock() >= (part.sent_at or 0) + UNDER_WAY
        if part.sender != sender or late:  # too late: it may be taken for lost by now
            return Report()
        try:
            batch = openai.create(new_batch(job, part))
        except OpenAIError as error:
            return self._not_made(job, part, error, turn.live, openai)
        except ParameterError as error:  # or it would be tried without an end
            refusal = OpenAIError(str(error), status=400)
            return self._not_made(job, part, refusal, turn.live, openai)
        return self._made(job, part, batch, openai)

    def settle(self, job: Job, part: Part, openai: OpenAI) -> Report:
        """Find out what became of a part that was being sent by somebody who is not heard of."""
        now, sent_at = self.clock(), part.sent_at or 0
        if now < sent_at + UNDER_WAY:
            return Report()
        certain = now >= sent_at + SETTLED
        try:
            batches = list(batches_of(job, part, openai))
            if not batches and certain and self.list_is_stale(job.account):
                raise BadAnswerError("the list lags, so that a batch may be missing in it")
        except OpenAIError as error:
            self.jobs.change(job.job_id, lambda job: self._uncertain(job, part))
            return Report(problems=[Problem(error, job.account)])
        if batches:
            report = self._made(job, part, batches[-1], openai)  # the first that was made
            for other in batches[:-1]:
                report += self._drop(job, other, openai)
            return report
        if certain:
            self.jobs.change(job.job_id, lambda job: self._released(job, part))
        return Report()

    def register(self, job: Job, part: Part) -> None:
        """Put the batch of a part under watch."""
        self.ledger.register(job.account, part.batch_id or "")

    def _taken(self, job: Job, turn: Turn, sender: str) -> Job | None:
        part = turn.part
        sent = part.but(state=PartState.SENDING, sender=sender, sent_at=self.clock())
        return None if job.cancelled else job.instead(part, sent)

    def _made(self, job: Job, part: Part, batch: Batch, openai: OpenAI) -> Report:
        def note(job: Job) -> Job | None:
            noted = _adopted(job, part, batch)
            return noted and self.narrator.submitted(noted, self.clock())

        job = self.jobs.change(job.job_id, note).job
        live = job.part(part.number)
        if live.batch_id != batch.id:
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
            noted = job.instead(part, back)
            if noted and why:
                return self.narrator.waiting(line_held(noted, back), why, now)
            return noted and self.narrator.submitted(noted, now)

        self.jobs.change(job.job_id, note)
        return report

    def _look_at_once(self, job: Job, part: Part, openai: OpenAI) -> Report:
        """Adopt the batch if the list shows it already; else it is looked for again, and again."""
        try:
            batches = list(batches_of(job, part, openai))
        except OpenAIError:
            return Report()
        return self._made(job, part, batches[-1], openai) if batches else Report()

    def _released(self, job: Job, part: Part) -> Job | None:
        """Let a part be sent again that has no batch; later each time, and not for ever."""
        now = self.clock()
        back = held(part.but(state=PartState.UPLOADED, sender=None), Why.UNCERTAIN, now)
        noted = job.instead(part, back)
        return noted and self.narrator.waiting(noted, Why.UNCERTAIN, now)

    def _uncertain(self, job: Job, part: Part) -> Job | None:
        """Wait for the list to tell; for so long, at last, that no batch can be running."""
        now = self.clock()
        if now >= (part.sent_at or 0) + OVER:
            unknown = "OpenAI did not tell whether it made a batch of this part; see its list"
            return job.instead(part, refused(part, unknown))
        still = job.part(part.number) == part
        return self.narrator.waiting(job, Why.UNCERTAIN, now) if still else None

    def _drop(self, job: Job, batch: Batch, openai: OpenAI) -> Report:
        """Cancel a batch that is one too many; this must not happen, so it is told."""
        became = "cancelled"
        try:
            openai.cancel(batch.id)
        except EndedError:
            became = "has ended"
        except OpenAIError as error:
            became = f"is to be cancelled by hand: {error}"
        told = OrphanError(f"a second batch of one part was found, and {became}")
        return Report(problems=[Problem(told, job.account, batch.id)])


def new_batch(job: Job, part: Part) -> NewBatch:
    """Put together what is asked of OpenAI: as the owner wants it, and marked as ours."""
    options = job.options
    metadata = {**options.metadata, MARK: job.mark(part)}
    if len(metadata) < MOST_PAIRS and not any(name in metadata for name in _NAMES):
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


def batches_of(job: Job, part: Part, openai: OpenAI) -> Iterator[Batch]:
    """Look through the list for what was made of a part in this round, the newest first."""
    sent_at, mark = part.sent_at or 0, job.mark(part)
    for batch in listed_since(sent_at - SKEW, openai):
        said = (batch.metadata or {}).get(MARK)
        # Some providers keep no metadata; of earlier rounds, there is nothing so late.
        by_file = said is None and batch.input_file_id == part.file_id
        if said == mark or (by_file and (batch.created_at or 0) >= sent_at - JUST_BEFORE):
            yield batch


def listed_since(moment: float, openai: OpenAI) -> Iterator[Batch]:
    """List the batches made since then, or more; BadAnswerError where some may be missing."""
    after: str | None = None
    cursors = set()
    while True:
        page = openai.page(after)
        if page.unreadable:
            raise BadAnswerError("some rows of the list cannot be read")
        yield from page.batches
        made = [batch.created_at for batch in page.batches if batch.created_at is not None]
        if not page.more or (made and max(made) < moment):
            return
        if page.cursor is None or page.cursor in cursors:
            raise BadAnswerError("the list does not come to an end")
        after = page.cursor
        cursors.add(after)


def _adopted(job: Job, part: Part, batch: Batch) -> Job | None:
    """Give a part its batch, unless it has one; who was about to make another will see it there."""
    now = job.part(part.number)
    wanting = now.state in {PartState.SENDING, PartState.UPLOADED} and now.round == part.round
    live = now.but(state=PartState.LIVE, batch_id=batch.id, sender=None)
    return job.with_part(live) if wanting else None
