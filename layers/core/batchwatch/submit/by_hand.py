"""What people ask of Submitter by invoking it: which jobs are open; to cancel one, or a batch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.batch import safe_id
from batchwatch.errors import BadMessageError, BatchwatchError, EndedError, OpenAIError
from batchwatch.events import moment
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.job import FINAL, Outcome, PartState, Stage, is_job_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchwatch.accounts import Accounts
    from batchwatch.ledger import Ledger
    from batchwatch.openai import Account, OpenAI
    from batchwatch.submit.desk import Desk
    from batchwatch.submit.job import Job
    from batchwatch.submit.jobs import Jobs
    from batchwatch.submit.telling import Narrator

_USAGE = (
    'Submitter takes {"jobs": "open"}, {"cancel": "job_…"}, {"cancel": "questions.jsonl"} and'
    ' {"cancel": "batch_…", "account": "…"}; the account only where it is not known'
)


_OVER = {Stage.MERGING, Stage.DONE}


class ByHand(NamedTuple):
    """Answers; an error is an answer, too, that says what is wrong."""

    jobs: Jobs
    desk: Desk
    ledger: Ledger
    accounts: Accounts
    openai: Callable[[Account], OpenAI]
    narrator: Narrator
    clock: Callable[[], float]

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked, and say what is being done about it."""
        try:
            match dict(asked):
                case {"jobs": "open", **rest} if not rest:
                    return {"jobs": [_shown(job) for job in self.jobs.open_jobs()]}
                case {"cancel": str() as wanted, **rest} if not rest.keys() - {"account"}:
                    return self._cancel(wanted, rest.get("account"))
                case _:
                    raise BadMessageError(_USAGE)
        except BatchwatchError as error:
            return {**asked, "error": str(error)}

    def _cancel(self, wanted: str, account: object) -> dict[str, Any]:
        if wanted.endswith(".jsonl"):
            return self._cancel_job(self._job_of(wanted))
        named = safe_id(account) if isinstance(account, str) else None
        job = self.jobs.get(safe_id(wanted))
        if job is None and is_job_id(wanted):
            raise BadMessageError(f"no job {wanted} is known")
        return self._cancel_job(job) if job else self._cancel_batch(wanted, named)

    def _job_of(self, file: str) -> Job:
        """Find the one open job of a file, by its key or what follows `inbox/` in it."""
        keys = {file, INBOX + file}
        jobs = [job for job in self.jobs.open_jobs() if job.key in keys]
        if len(jobs) != 1:
            several = f"several open jobs: {', '.join(job.job_id for job in jobs)}"
            raise BadMessageError(f"that file has {several if jobs else 'no open job'}")
        return jobs[0]

    def _cancel_job(self, job: Job) -> dict[str, Any]:
        job_id, over = job.job_id, job.stage in _OVER
        job = self.jobs.change(job_id, self._cancelled).job
        if over or not job.cancelled:
            so_far = str(job.outcome) if job.outcome else "all batches, which are merged"
            raise BadMessageError(f"{job_id} has already ended: {so_far}")
        problems = self.desk.cancel(job).problems
        job = self.jobs.change(job_id, self.desk.moved_on).job
        self.desk.deliver(job_id)
        return {
            "cancel": job_id,
            "status": "cancelled" if job.stage is Stage.DONE else "cancelling",
            "parts_never_sent": [p.number for p in job.parts if p.state is PartState.DROPPED],
            "batches_cancelling": [
                p.batch_id for p in job.parts if p.state not in FINAL and p.batch_id
            ],
            "problems": [str(problem.error) for problem in problems],
        }

    def _cancelled(self, job: Job) -> Job | None:
        if job.stage in _OVER:
            return None
        job = job.but(cancelled=True)
        if job.stage is Stage.READING:
            return self.narrator.ended(job, Outcome.CANCELLED, self.clock())
        return self.desk.moved_on(job) or job

    def _cancel_batch(self, batch_id: str, account: str | None) -> dict[str, Any]:
        names = [account] if account else [each.name for each in self.accounts.all().accounts]
        known = [name for name in names if self.ledger.get(name, batch_id).v]
        if not known and len(names) != 1:
            raise BadMessageError(
                f"no job or batch {batch_id} is known; if it is one, name its account: "
                f'{{"cancel": "{batch_id}", "account": "…"}}'
            )
        name = (known or names)[0]
        try:
            said = self.openai(self.accounts.get(name)).cancel(batch_id)
        except EndedError as error:
            raise BadMessageError(f"batch {batch_id} has already ended") from error
        except OpenAIError as error:
            if error.passing:
                raise
            raise BadMessageError(f"account {name!r} has no batch {batch_id}") from error
        return {"cancel": batch_id, "account": name, "status": said.named_status}


def _shown(job: Job) -> dict[str, Any]:
    """Show how far a job is."""
    return {
        "job": job.job_id,
        "file": job.key,
        "account": job.account,
        "stage": "cancelling" if job.cancelled else job.stage.value,
        "parts": dict(Counter(part.state.value for part in job.parts)),
        "waiting": job.waiting and job.waiting.value,
        "since": moment(job.arrived).isoformat(),
    }
