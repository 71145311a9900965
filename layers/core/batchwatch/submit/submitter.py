"""What Submitter does: a dropped file becomes a job, the job its batches; or one is cancelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.errors import (
    BadMessageError,
    LostLeaseError,
    LostObjectError,
    OpenAIError,
    OutOfTimeError,
)
from batchwatch.record import QUEUE, Lease
from batchwatch.report import Problem, Report
from batchwatch.submit.desk import ORDER_AGAIN, to_upload
from batchwatch.submit.following import held, refused, why_refused
from batchwatch.submit.inbox_queue import Dropped, read_message
from batchwatch.submit.intake import NotTakenError
from batchwatch.submit.job import Job, Outcome, PartState, Stage, job_id_of
from batchwatch.submit.merging import Merging

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.accounts import Accounts
    from batchwatch.archive import Archive
    from batchwatch.batch import Role
    from batchwatch.openai import Account, OpenAI
    from batchwatch.record import File
    from batchwatch.submit.desk import Desk
    from batchwatch.submit.inbox_queue import InboxQueue
    from batchwatch.submit.intake import Intake
    from batchwatch.submit.job import Part
    from batchwatch.submit.jobs import Jobs
    from batchwatch.submit.telling import Narrator
    from batchwatch.transfer import Shift

LONGEST_RETRY = 300
_FEW = 2
"""Seconds until somebody else's work is looked at again, at least."""


class Submitter(NamedTuple):
    """Works off the inbox queue."""

    jobs: Jobs
    desk: Desk
    queue: InboxQueue
    accounts: Accounts
    openai: Callable[[Account], OpenAI]
    intake: Intake
    archive: Archive
    narrator: Narrator
    clock: Callable[[], float]

    def work(self, message: dict[str, Any], shift: Shift) -> Report:
        """Do what a message asks. With `again` set it is not done and comes back then."""
        try:
            said = read_message(message.get("body", ""))
            report = self._job(said, shift)
        except BadMessageError as error:
            self.queue.set_aside(message)
            return Report(problems=[Problem(error)])
        except Exception as error:  # noqa: BLE001 - told, and tried again
            received = int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
            wait = 0.0 if isinstance(error, OutOfTimeError) else 2.0 ** min(received, 10)
            report = Report(problems=[Problem(error)], again=min(wait, LONGEST_RETRY))
        if report.again is not None:
            self.queue.again(message, report.again)
        return report

    def _job(self, said: Any, shift: Shift) -> Report:
        if isinstance(said, Dropped):
            if not self.intake.wants(said.detail.object.key):
                return Report()
            job_id = self._begun(said).job_id
        elif self.jobs.get(said.job):
            job_id = said.job
        else:
            raise BadMessageError("an order for a job that nobody knows")
        taken = self.jobs.change(job_id, partial(_taken_up, shift=shift, now=self.clock())).job
        if taken.lease is None or taken.lease.owner != shift.owner:
            late = taken.lease.until - self.clock() if taken.lease else _FEW
            return Report() if taken.stage is Stage.DONE else Report(again=max(_FEW, late))
        back: Lease | None = Lease(owner=QUEUE, until=self.clock() + ORDER_AGAIN)
        try:
            report = self._advance(taken, shift)
            back = None
        finally:  # what was not done comes again by its message; it needs no other order
            self.jobs.change(job_id, partial(_laid_down, owner=shift.owner, back=back))
        return report + self.desk.deliver(job_id)

    def _begun(self, said: Dropped) -> Job:
        found = said.detail.object
        job_id = job_id_of(said.detail.bucket.name, found.key, said.unique)
        return self.jobs.begin(
            Job(
                job_id=job_id,
                key=found.key,
                version=said.version,
                size=found.size,
                arrived=said.time.timestamp(),
            )
        )

    def _advance(self, job: Job, shift: Shift) -> Report:
        report = Report()
        if job.stage is Stage.READING:
            job = self._read(job, shift)
        if job.stage is Stage.SENDING:
            report += self._upload(job, shift)
            report += self.desk.serve(job.account, shift.stop_at)
        if job.stage is Stage.MERGING:
            self._merge(job, shift)
        return report

    def _read(self, job: Job, shift: Shift) -> Job:
        """Read the file, and plan the parts; or tell its owner why not."""
        try:
            taken = self.intake.take(job, shift.owner, self._late(shift))
        except NotTakenError as error:
            return self._refuse(job, error)

        def note(job: Job) -> Job | None:
            if job.stage is not Stage.READING:
                return None
            return job.but(stage=Stage.SENDING, **taken._asdict())

        return self.jobs.change(job.job_id, note).job

    def _refuse(self, job: Job, error: NotTakenError) -> Job:
        def note(job: Job) -> Job | None:
            if job.stage is not Stage.READING:
                return None
            told = job.but(report=error.report, account=error.account or job.account)
            return self.narrator.ended(told, Outcome.REFUSED, self.clock(), str(error))

        return self.jobs.change(job.job_id, note).job

    def _upload(self, job: Job, shift: Shift) -> Report:
        """Send the parts to OpenAI as files; what is refused for now waits for the tick."""
        for part in to_upload(job, self.clock()):
            if self.clock() >= shift.stop_at:
                raise OutOfTimeError("the time of this invocation was over")
            openai = self.openai(self.accounts.get(job.account))
            name = f"{job.job_id}-{part.number:04d}.jsonl"
            try:
                file = openai.upload(name, part.size, partial(self.archive.read, part.key))
            except LostObjectError as error:
                self._not_uploaded(job, part, OpenAIError(str(error), status=400))
                return Report(problems=[Problem(error, job.account)])
            except OpenAIError as error:
                self._not_uploaded(job, part, error)
                return Report(problems=[Problem(error, job.account)])
            there = part.but(state=PartState.UPLOADED, file_id=file.id, uploaded_at=self.clock())
            job = self.jobs.change(job.job_id, partial(Job.instead, part=part, other=there)).job
            if job.cancelled:
                break
        return Report()

    def _not_uploaded(self, job: Job, part: Part, error: OpenAIError) -> None:
        now, why = self.clock(), why_refused(error)
        after = held(part, why, now) if why else refused(part, str(error))

        def note(job: Job) -> Job | None:
            noted = job.instead(part, after)
            return self.narrator.waiting(noted, why, now) if noted and why else noted

        self.jobs.change(job.job_id, note)

    def _merge(self, job: Job, shift: Shift) -> None:
        def keep(role: Role, file: File) -> None:
            def note(job: Job) -> Job:
                if job.lease is None or job.lease.owner != shift.owner:
                    raise LostLeaseError("the lease has passed to another worker")
                return job.but(merged={**job.merged, role: file})

            self.jobs.change(job.job_id, note)

        Merging(self.archive, job, keep, self._late(shift)).merge()
        self.jobs.change(
            job.job_id, lambda job: self.desk.ended(job) if job.stage is Stage.MERGING else None
        )

    def _late(self, shift: Shift) -> Callable[[], bool]:
        return lambda: self.clock() >= shift.stop_at


def _taken_up(job: Job, *, shift: Shift, now: float) -> Job | None:
    """Take a job up, unless somebody is at it; an order that waits in the queue is nobody."""
    if job.stage is Stage.DONE:
        return None
    by_another = job.lease is not None and job.lease.owner not in {QUEUE, shift.owner}
    if by_another and job.leased(now):
        return None
    return job.but(lease=Lease(owner=shift.owner, until=shift.until))


def _laid_down(job: Job, *, owner: str, back: Lease | None) -> Job | None:
    ours = job.lease is not None and job.lease.owner == owner
    return job.but(lease=back) if ours else None
