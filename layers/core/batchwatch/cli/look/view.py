"""A batch as people and programs are shown it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchwatch.events import outcome
from batchwatch.record import FileState
from batchwatch.submit.job import UNSENT, Stage, is_job_id
from batchwatch.submit.unrun import MARK

if TYPE_CHECKING:
    from batchwatch.batch import Batch
    from batchwatch.items import Row
    from batchwatch.prices import Prices
    from batchwatch.record import File, Record
    from batchwatch.submit.job import Job

STYLE = {
    "completed": "green",
    "failed": "red",
    "lost": "red",
    "unreadable": "red",
    "expired": "yellow",
    "cancelled": "yellow",
    "cancelling": "yellow",
}
"""Colours by status; a word stands beside each. Of a completed one, see `style_of`."""
_COMPLETED = {"none": "red", "some": "yellow"}
UNREADABLE = "unreadable"

_MOST = 10**15
"""Requests; what a provider counts beyond that is none."""
_LONGEST = 366 * 86_400
"""Seconds beyond which nothing is foretold."""
_LOST = {FileState.GONE, FileState.FAILED}


def status_of(known: Record) -> str:
    """Return the status that was announced; `lost`; or `new` before the first look at it."""
    if known.lost:
        return "lost"
    return known.last_status or (known.batch.named_status if known.batch else "new")


def style_of(known: Record) -> str:
    """Return the colour of its status; `completed` is green where every request succeeded."""
    status = status_of(known)
    how = outcome(known.batch) if status == "completed" and known.batch else None
    return _COMPLETED.get(how or "", STYLE.get(status, ""))


def status_of_job(job: Job) -> str:
    """Return how it ended; cancelling or waiting; in_progress; reading, sending or merging."""
    if job.stage is Stage.DONE:
        return str(job.outcome)
    if job.cancelled:
        return "cancelling"
    if job.stage is not Stage.SENDING:
        return job.stage.value
    sent = all(part.state not in UNSENT for part in job.parts)
    return "waiting" if job.waiting else "in_progress" if job.parts and sent else job.stage.value


def outcome_of_job(job: Job) -> str | None:
    """How much of a job that is over succeeded: all, some, none; as its last event has it.

    Lines set aside did not, nor is all there where a merged file is not.
    """
    if job.stage is not Stage.DONE:
        return None
    completed = sum(part.completed or 0 for part in job.parts)
    lost = any(file.state in _LOST for file in job.merged.values())
    lacking = lost or job.rejected or any(part.reason for part in job.parts)
    if 0 < completed == job.requests and not lacking:
        return "all"
    return "some" if completed else "none"


def style_of_job(job: Job) -> str:
    """Return the colour of its status; `completed` is green where every request succeeded."""
    status = status_of_job(job)
    usual = {"refused": "red", "waiting": "yellow"}.get(status, STYLE.get(status, ""))
    how = outcome_of_job(job) if status == "completed" else None
    return _COMPLETED.get(how or "", usual)


def files_of(known: Record) -> str:
    """Say in a word what became of the files: archived, archiving, incomplete; empty before."""
    if not known.files:
        return ""
    if not known.archived:
        return "archiving"
    return "incomplete" if incomplete(known) else "archived"


def incomplete(known: Record) -> bool:
    """Whether a file is gone, or could not be copied."""
    return any(file.state in _LOST for file in known.files.values())


def good(known: Record) -> bool:
    """Whether a batch came to the end that was hoped for: completed, some answers, all files."""
    completed = status_of(known) == "completed"
    answered = known.batch is None or outcome(known.batch) != "none"
    return completed and answered and files_of(known) != "incomplete"


def over(known: Record) -> bool:
    """Whether nothing more will happen: it has ended, and its files have; or it is lost."""
    return known.abandoned or known.lost or (known.terminal and known.archived)


def job_of(known: Record) -> tuple[str, str] | None:
    """Return the job and the number of the part that a batch is of, if it is of one."""
    mark = str(((known.batch and known.batch.metadata) or {}).get(MARK, ""))
    job_id, _, part = mark.partition("/")
    number = part.partition("/")[0].lstrip("0")
    return (job_id, number) if is_job_id(job_id) and number.isdecimal() else None


def seconds_left(known: Record) -> float | None:
    """Estimate from its pace until it was last seen how long the requests will take from then."""
    batch = known.batch
    if known.terminal or batch is None or not batch.counts or batch.in_progress_at is None:
        return None
    taken, done = known.progressed_at - batch.in_progress_at, batch.counts.done
    to_come = (batch.counts.total or 0) - done
    if taken <= 0 or not done or not 0 <= to_come <= _MOST:
        return None
    left = taken * to_come / done
    if batch.expires_at is not None:
        left = min(left, max(0, batch.expires_at - known.progressed_at))
    return left if left <= _LONGEST else None


def said(known: Record, prices: Prices) -> dict[str, Any]:
    """A batch as one JSON object: what is known, with times in ISO 8601 and UTC; dollars."""
    batch, left, job = known.batch, seconds_left(known), job_of(known)
    cost = prices.cost(batch) if batch else None
    return {
        "kind": "batch",
        "id": known.batch_id,
        "account": known.account,
        "status": status_of(known),
        "outcome": outcome(batch) if batch else None,
        "over": over(known),
        "created_at": iso(known.created_at),
        "expires_at": iso(batch.expires_at if batch else None),
        "endpoint": batch.endpoint if batch else None,
        "model": batch.model if batch else None,
        "metadata": (batch.metadata or {}) if batch else {},
        "requests": _counts(batch),
        "done_by": iso(known.progressed_at + left if left is not None else None),
        "cost_usd": None if cost is None else float(cost.dollars),
        "archive": files_of(known) or None,
        "files": {str(role): said_of_file(file) for role, file in known.files.items()},
        "stalled": sorted(known.stalled),
        "tracked": known.tracked,
        "job": job[0] if job else None,
    }


def said_of_row(row: Row, prices: Prices) -> dict[str, Any]:
    """A row as one JSON object; one that cannot be read says why."""
    if row.trouble is None:
        return said(row.known, prices)
    return unreadable(row.known, str(row.trouble))


def unreadable(known: Record, why: str) -> dict[str, Any]:
    """A batch as one JSON object of which nothing else can be read."""
    named = {"kind": "batch", "id": known.batch_id, "account": known.account}
    return {**named, "status": UNREADABLE, "over": None, "reason": why}


def _counts(batch: Batch | None) -> dict[str, int] | None:
    if batch is None or not batch.counts:
        return None
    counts = batch.counts
    return {
        "total": counts.total or 0,
        "completed": counts.completed or 0,
        "failed": counts.failed or 0,
    }


def said_of_file(file: File) -> dict[str, Any]:
    """A file as JSON: its state, and what else is known of it."""
    kept = file.model_dump(
        mode="json",
        include={"state", "s3_uri", "bytes", "lines", "crc32", "reason", "location", "tries"},
    )
    return {name: value for name, value in kept.items() if value not in (None, 0)}


def iso(seconds: float | None) -> str | None:
    """Write seconds since 1970 as a time in UTC."""
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
