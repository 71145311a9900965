"""What may be cancelled: a job, or a batch, as far as this stack knows of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchwatch.cli.follow.progress import of_job
from batchwatch.cli.ids import usable
from batchwatch.cli.look import view
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.digest import title
from batchwatch.notify.wording import clean, number, plural
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.job import FINAL, UNSENT, Job, Outcome, PartState, Stage, is_job_id

if TYPE_CHECKING:
    from batchwatch.batch import RequestCounts
    from batchwatch.cli.follow.progress import Seen
    from batchwatch.cli.stack import Stack
    from batchwatch.record import Record

_FILE = ".jsonl"
_CANCELLED = "cancelled"


@dataclass(frozen=True)
class JobTarget:
    """A dropped file, with all its batches."""

    job: Job
    seen: Seen

    @property
    def id(self) -> str:
        """Its id."""
        return self.job.job_id

    @property
    def account(self) -> str | None:
        """Not to be told: the job has it."""
        return None

    @property
    def end(self) -> str | None:
        """How it has ended; None while something of it may be cancelled."""
        if self.job.stage is Stage.DONE:
            return str(self.job.outcome or "ended")
        return "all its batches have, and are merged" if self.job.stage is Stage.MERGING else None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.job.stage is Stage.DONE

    @property
    def state(self) -> str:
        """How far it is, in a few words."""
        job = self.job
        stage = "cancelling" if job.cancelled and not self.over else self.end or job.stage.value
        if not job.parts:
            return stage
        done = (
            f", {number(self.done)} of {plural(job.requests, 'request')} done"
            if job.requests
            else ""
        )
        ended = sum(part.state in FINAL for part in job.parts)
        unsent = sum(part.state in UNSENT for part in job.parts)
        waiting = f", {number(unsent)} not sent yet" if unsent else ""
        return f"{stage}, {number(ended)} of {plural(len(job.parts), 'part')} over{waiting}{done}"

    @property
    def done(self) -> int:
        """How many of its requests have been answered, or have failed."""
        return self.seen.done

    @property
    def total(self) -> int:
        """How many requests it has."""
        return self.job.requests

    @property
    def charged(self) -> int:
        """How many have been answered."""
        return self.seen.done - self.seen.errors

    def __str__(self) -> str:
        return f"{self.id} ({clean(self.job.key)})"

    def again(self, stack: Stack) -> JobTarget:
        """Look again."""
        return _job_target(stack, _job(stack, self.id))

    def said(self) -> dict[str, Any]:
        """As one JSON object."""
        parts = Counter(part.state.value for part in self.job.parts)
        return {
            "kind": "job",
            "id": self.id,
            "account": self.job.account,
            "key": self.job.key,
            "status": view.status_of_job(self.job),
            "parts": parts,
        }


@dataclass(frozen=True)
class BatchTarget:
    """One batch; `known` is None where this stack has not heard of it."""

    id: str
    account: str | None
    known: Record | None

    @property
    def end(self) -> str | None:
        """How it has ended; None while it may be cancelled."""
        return view.status_of(self.known) if self.known and self.known.terminal else None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to its requests; its files may be on their way."""
        return self.end is not None or (self.known is not None and self.known.lost)

    @property
    def state(self) -> str:
        """How far it is, in a few words."""
        if self.known is None:
            return "not watched by this stack"
        status = clean(view.status_of(self.known))
        batch = self.known.batch
        if batch is None or not batch.counts:
            return status
        done, total = number(batch.counts.done), number(batch.counts.total or 0)
        return f"{status}, {done} of {total} requests done"

    @property
    def done(self) -> int:
        """How many of its requests have been answered, or have failed."""
        return self._counts.done if self._counts else 0

    @property
    def total(self) -> int:
        """How many requests it has; 0: not known."""
        return (self._counts.total or 0) if self._counts else 0

    @property
    def charged(self) -> int:
        """How many have been answered."""
        return (self._counts.completed or 0) if self._counts else 0

    @property
    def _counts(self) -> RequestCounts | None:
        return self.known.batch.counts if self.known and self.known.batch else None

    def __str__(self) -> str:
        name = clean(title(self.known.batch), 40) if self.known and self.known.batch else ""
        of = f"account {clean(self.account)}" if self.account else ""
        details = ", ".join(each for each in (name, of) if each and each != self.id)
        return f"{self.id} ({details})" if details else self.id

    def again(self, stack: Stack) -> BatchTarget:
        """Look again."""
        if self.account is None:
            return self
        return BatchTarget(self.id, self.account, stack.ledger.get(self.account, self.id))

    def said(self) -> dict[str, Any]:
        """As one JSON object."""
        status = view.status_of(self.known) if self.known else None
        return {"kind": "batch", "id": self.id, "account": self.account, "status": status}


Target = JobTarget | BatchTarget


def find(stack: Stack, wanted: str, account: str | None) -> Target:
    """Return what an id or the name of a dropped file means; CommandError where that is nothing.

    A batch that nobody knows is one all the same: OpenAI may know it.
    """
    if wanted.endswith(_FILE):
        return _job_target(stack, _job_of_file(stack, wanted))
    if is_job_id(usable(wanted)):
        return _job_target(stack, _job(stack, wanted))
    accounts = [account] if account else stack.catalogue.accounts()
    rows = [row.known for row in stack.catalogue.batches((each, wanted) for each in accounts)]
    if len(rows) > 1:
        several = ", ".join(sorted(clean(known.account) for known in rows))
        raise CommandError(
            Code.USAGE, f"{wanted} is of several accounts: {several}", "name one by --account"
        )
    known = rows[0] if rows else None
    return BatchTarget(wanted, known.account if known else account, known)


def well(target: Target) -> bool:
    """Whether it ended as it was to, and in time."""
    return target.end in {_CANCELLED, Outcome.CANCELLED.value} and not too_late(target)


def too_late(target: Target) -> str:
    """Say what it costs if all of it was done before it could be cancelled; empty if it was not."""
    all_done = target.end is not None and 0 < target.total <= target.done
    if target.end != Outcome.COMPLETED.value and not all_done:
        return ""
    of = plural(target.total, "request")
    return f"too late: it completed, {number(target.charged)} of {of} are charged"


def _job_target(stack: Stack, job: Job) -> JobTarget:
    live = [part.batch_id for part in job.parts if part.batch_id and part.state is PartState.LIVE]
    rows = stack.catalogue.batches((job.account or "", each) for each in live)
    return JobTarget(job, of_job(job, {r.known.batch_id: r.known for r in rows if not r.trouble}))


def _job(stack: Stack, job_id: str) -> Job:
    job = stack.jobs.get(job_id)
    if job is None:
        raise CommandError(Code.NOT_FOUND, f"the stack {stack.name!r} knows no job {job_id}")
    return job


def _job_of_file(stack: Stack, name: str) -> Job:
    jobs = [job for job in stack.jobs.open_jobs() if job.key in {name, INBOX + name}]
    if not jobs:
        raise CommandError(
            Code.NOT_FOUND,
            f"the stack {stack.name!r} has no open job of a file {clean(name)}",
            "name it as in the bucket, from inbox/ on; one that is over cannot be cancelled",
        )
    if len(jobs) > 1:
        ids = ", ".join(job.job_id for job in jobs)
        raise CommandError(
            Code.USAGE, f"that file has several open jobs: {ids}", "give the id of one"
        )
    return jobs[0]
