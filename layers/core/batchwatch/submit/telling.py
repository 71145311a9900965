"""What is told of a job. Pure: each event is put into its outbox by the write that decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.events import ArchivedFile, event_id, moment
from batchwatch.job_events import JobEvent, JobEventData, JobPart, JobTotals, Waiting
from batchwatch.submit.job import UNSENT, Outcome, PartState, Stage

if TYPE_CHECKING:
    from batchwatch.submit.job import Job, Part
    from batchwatch.submit.unrun import Why

_WAITING = "waiting"
_SHOWN = {
    PartState.LIVE: "submitted",
    PartState.ENDED: "ended",
    PartState.DROPPED: "cancelled",
    PartState.REFUSED: "refused",
}


class Narrator(NamedTuple):
    """Tells of jobs: in whose name, and where the bucket's objects are addressed."""

    source: str
    bucket: str

    def submitted(self, job: Job, now: float) -> Job:
        """Tell, once, that every part that can have a batch has one."""
        sent = all(_state(part) != _WAITING for part in job.parts)
        if job.cancelled or not sent or not _any_batch(job):
            return job
        told, job = job.submitted, job.but(submitted=True, waiting=None, waiting_since=None)
        return job if told else self._tell(job, "submitted", now)

    def waiting(self, job: Job, why: Why, now: float) -> Job:
        """Tell why a job waits, once for each reason."""
        if job.waiting is why or job.cancelled:
            return job
        since = now if job.waiting_since is None else job.waiting_since
        job = job.but(waiting=why, waiting_since=since)
        return self._tell(job, "waiting", now, apart=f"{why}/{job.seq}")

    def ended(self, job: Job, outcome: Outcome, now: float, reason: str | None = None) -> Job:
        """End a job, and tell how."""
        job = job.but(stage=Stage.DONE, outcome=outcome, reason=reason, lease=None)
        return self._tell(job, outcome.value, now)

    def _tell(self, job: Job, status: str, now: float, apart: str = "") -> Job:
        kind = f"job.{status}"
        ran = status in {Outcome.COMPLETED, Outcome.CANCELLED}
        event = JobEvent(
            id=event_id(job.account, job.job_id, kind, apart),
            source=f"{self.source}:{job.account}",
            type=kind,
            subject=job.job_id,
            time=moment(now),
            data=JobEventData(
                account=job.account,
                status=status,
                sequence=job.seq + 1,
                observed_at=moment(now),
                object=f"s3://{self.bucket}/{job.key}",
                version=job.version,
                requests=job.requests,
                rejected=job.rejected,
                report=job.report,
                parts=tuple(_shown(part) for part in job.parts),
                waiting=_waiting(job) if status == "waiting" else None,
                totals=_totals(job) if ran else None,
                files=_files(job) if ran else None,
                reason=job.reason,
            ),
        )
        outbox = {**job.outbox, job.seq + 1: event.frozen()}
        return job.but(seq=job.seq + 1, outbox=outbox)


def _any_batch(job: Job) -> bool:
    return any(part.batch_id for part in job.parts)


def _state(part: Part) -> str:
    """What is said of a part; one in a state of a later version waits for that."""
    return _SHOWN.get(part.state, _WAITING)


def _shown(part: Part) -> JobPart:
    return JobPart(
        number=part.number,
        state=_state(part),
        endpoint=part.endpoint,
        model=part.model,
        requests=part.requests,
        batch_id=part.batch_id,
        status=part.status,
        completed=part.completed,
        failed=part.failed,
        reason=part.held.why.value if part.held and part.state in UNSENT else part.reason,
    )


def _waiting(job: Job) -> Waiting:
    unsent = sum(_state(part) == _WAITING for part in job.parts)
    why = job.waiting.value if job.waiting else ""
    return Waiting(reason=why, since=moment(job.waiting_since or 0), parts=unsent)


def _totals(job: Job) -> JobTotals:
    completed = sum(part.completed or 0 for part in job.parts)
    failed = sum(part.failed or 0 for part in job.parts)
    left = max(0, job.requests - completed - failed)
    return JobTotals(requests=job.requests, completed=completed, failed=failed, unfinished=left)


def _files(job: Job) -> dict[str, ArchivedFile]:
    fields = set(ArchivedFile.model_fields)
    return {
        role.value: ArchivedFile.model_validate(file.model_dump(include=fields))
        for role, file in job.merged.items()
        if file.state.final
    }
