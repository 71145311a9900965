"""What becomes of a part, by what is known of its batch or why it has none. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from batchwatch.batch import Role, Status
from batchwatch.errors import AccessError, BadAnswerError, NotFoundError, RateLimitedError
from batchwatch.record import FileState
from batchwatch.submit.job import UNSENT, Held, Part, PartState, Piece
from batchwatch.submit.queueing import backoff
from batchwatch.submit.unrun import Why, refused_unrun

if TYPE_CHECKING:
    from batchwatch.batch import Batch
    from batchwatch.errors import OpenAIError
    from batchwatch.record import Record
    from batchwatch.submit.job import Job

UPLOAD_AGAIN = 3
"""How often a file is not found until it is sent again."""
_MOST = {Why.FILE_NOT_READY: 6, Why.UNCERTAIN: 6, Why.TOKEN_LIMIT: 50}
"""How often a part is refused until it is given up: for its size, over more than a day."""
_IN_VAIN = {
    Why.FILE_NOT_READY: "OpenAI does not find the file that was uploaded",
    Why.UNCERTAIN: "OpenAI did not tell whether it made a batch of this part; see its list",
    Why.TOKEN_LIMIT: "it alone has more than the enqueued limit of its model; set part_requests",
}
_COUNT_ALONE = {Why.FILE_NOT_READY, Why.UNCERTAIN}


def followed(part: Part, record: Record, now: float, live: int) -> Part:
    """Return a part as it is now that the ledger says this of its batch.

    `live`: how many batches its line has, this one among them.
    """
    batch = record.batch
    if part.state is not PartState.LIVE:
        return part
    if record.abandoned:  # maybe without ever having been seen
        lost = "OpenAI does not know its batch any more"
        return part.but(state=PartState.ENDED, status="lost", reason=lost)
    if batch is None:
        return part
    if record.status is Status.FAILED and (why := refused_unrun(batch)):
        again = part.but(state=PartState.UPLOADED, batch_id=None, round=part.round + 1, begun=False)
        return held(again, why, now, live - 1)
    if record.terminal and record.archived:
        return _ended(part, record, batch)
    begun = record.status is not None and record.status.rank > Status.VALIDATING.rank
    return part.but(begun=True, held=None) if begun else part


def held(part: Part, why: Why, now: float, live: int = 0) -> Part:
    """Let an unsent part wait; a file that is not found for long is sent again, or given up."""
    before = part.held
    counts = before and (before.why is why or why not in _COUNT_ALONE)
    tries = before.tries + 1 if before and counts else 1
    alone = why is not Why.TOKEN_LIMIT or not live
    if alone and tries >= _MOST.get(why, tries + 1):
        return refused(part, _IN_VAIN[why])
    part = part.but(held=Held(why=why, until=now + backoff(tries), tries=tries, live=live))
    if why is not Why.FILE_NOT_READY or tries < UPLOAD_AGAIN:
        return part
    return part.but(state=PartState.PLANNED, file_id=None)


def line_held(job: Job, part: Part) -> Job:
    """Let those that wait for the same limit know what the last one met: they need not try it."""
    job = job.with_part(part)
    if part.held is None or part.held.why is not Why.TOKEN_LIMIT:
        return job
    for other in job.parts:
        waits = other.state in UNSENT and other.line == part.line and other.held
        if waits and waits.why is Why.TOKEN_LIMIT:
            job = job.with_part(other.but(held=part.held))
    return job


def refused(part: Part, reason: str) -> Part:
    """Give a part up that OpenAI will not take."""
    return part.but(state=PartState.REFUSED, reason=reason, held=None)


def why_refused(error: OpenAIError) -> Why | None:
    """Tell why a batch was not made, where another try may succeed; None where none can."""
    if error.limited:
        return Why.TOKEN_LIMIT
    if isinstance(error, RateLimitedError):
        return Why.RATE_LIMITED
    if isinstance(error, AccessError):
        return Why.ACCOUNT_REFUSED if error.concerns_all else Why.FORBIDDEN
    if isinstance(error, NotFoundError) or "input_file_id" in str(error):
        return Why.FILE_NOT_READY
    odd = isinstance(error, BadAnswerError)  # of a proxy, as a rule
    too_large = error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Why.UNREACHABLE if (error.passing or odd) and not too_large else None


def _ended(part: Part, record: Record, batch: Batch) -> Part:
    counts = batch.counts
    output = record.files.get(Role.OUTPUT)
    lines = output.lines if output and output.state is FileState.ARCHIVED else None
    said = counts.completed if counts else None
    return part.but(
        state=PartState.ENDED,
        begun=True,
        held=None,
        status=str(record.status),
        completed=lines or 0 if said is None else said,
        failed=(counts.failed if counts else None) or 0,
        pieces=_pieces(record),
        reason=_reason(record, batch),
    )


def _pieces(record: Record) -> dict[Role, Piece]:
    pieces = {}
    for role in (Role.OUTPUT, Role.ERROR):
        file = record.files.get(role)
        if file and file.state is FileState.ARCHIVED and file.s3_uri:
            key = file.s3_uri.removeprefix("s3://").partition("/")[2]
            pieces[role] = Piece(key=key, size=file.bytes or 0)
    return pieces


def _reason(record: Record, batch: Batch) -> str | None:
    """Say what is missing: why validation failed, or a file that could not be archived."""
    for error in batch.errors.data if batch.errors else []:
        return ": ".join(filter(None, (error.code, error.message)))[:300]
    lost = [role for role, file in record.files.items() if file.state in _LOST]
    return f"not archived: {', '.join(sorted(lost))}" if lost else None


_LOST = {FileState.GONE, FileState.FAILED, FileState.ELSEWHERE}
