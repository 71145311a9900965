"""The tick: every open job looked at, in line. What takes long is ordered from a worker."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.errors import EndedError, LedgerRowError, OpenAIError, SecretError
from batchwatch.record import QUEUE, Lease
from batchwatch.report import Problem, Report
from batchwatch.submit.following import followed, line_held, why_refused
from batchwatch.submit.job import FINAL, UNSENT, Outcome, PartState, Stage
from batchwatch.submit.queueing import blocks_account, queue_of
from batchwatch.submit.unrun import Why
from batchwatch.turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.accounts import Accounts
    from batchwatch.ledger import Ledger
    from batchwatch.openai import Account, OpenAI
    from batchwatch.outbox import Outbox
    from batchwatch.submit.inbox_queue import InboxQueue
    from batchwatch.submit.job import Job, Part
    from batchwatch.submit.jobs import Jobs
    from batchwatch.submit.sending import Sending
    from batchwatch.submit.telling import Narrator

ORDER_AGAIN = 900
"""Seconds until work is ordered again that nobody took up."""


class Desk(NamedTuple):
    """Where jobs are looked after."""

    jobs: Jobs
    ledger: Ledger
    outbox: Outbox[Job]
    queue: InboxQueue
    accounts: Accounts
    openai: Callable[[Account], OpenAI]
    sending: Sending
    narrator: Narrator
    clock: Callable[[], float]

    def tick(self, stop_at: float = inf) -> Report:
        """Look after every open job; one account in trouble does not hold up the others."""
        by_account: dict[str, list[Job]] = defaultdict(list)
        troubles: list[LedgerRowError] = []
        for job in self.jobs.open_jobs(troubles):
            by_account[job.account].append(job)
        report = Report(problems=[Problem(trouble) for trouble in troubles])
        accounts = in_turn(list(by_account.items()), self.clock())
        for number, (account, jobs) in enumerate(accounts):
            now = self.clock()
            share = now + (stop_at - now) / (len(accounts) - number)
            report += guarded(account, partial(self._account, account, jobs, share))
        return report

    def serve(self, account: str, stop_at: float = inf) -> Report:
        """Send what may be sent of an account, once something is ready."""
        jobs = [job for job in self.jobs.open_jobs() if job.account == account]
        return guarded(account, partial(self._send, account, jobs, stop_at))

    def deliver(self, job_id: str) -> Report:
        """Publish what was told of a job."""
        job = self.jobs.get(job_id)
        return Report.of(self.outbox.deliver(job)) if job else Report()

    def cancel(self, job: Job) -> Report:
        """Ask OpenAI to cancel the batches of a job that is cancelled, each once."""
        report = Report()
        for part in job.parts:
            if part.state is PartState.LIVE and part.batch_id and not part.asked_to_cancel:
                report += self._cancel(job, part, part.batch_id)
        return report

    def _account(self, account: str, jobs: Sequence[Job], stop_at: float) -> Report:
        report, live, now = Report(), _live(jobs), self.clock()
        half = now + (stop_at - now) / 2  # the rest is for what may be sent
        for job in in_turn(list(jobs), now):
            if self.clock() < half:
                report += guarded(account, partial(self._look_after, job, live))
        now_open = [job for job in self.jobs.open_jobs() if job.account == account]
        return report + self._send(account, now_open, stop_at)

    def _look_after(self, job: Job, live: dict[str, int]) -> Report:
        report = Report()
        if job.cancelled and job.stage is Stage.SENDING:
            report += self.cancel(job)
        for part in job.parts:
            if part.state is PartState.SENDING:
                report += guarded(job.account, partial(self._settle, job, part))
            elif part.state is PartState.LIVE:
                self._follow(job, part, live[part.line])
        job = self.jobs.change(job.job_id, self.moved_on).job
        if _needs_a_worker(job, self.clock()):
            self._order(job)
        return report + Report.of(self.outbox.deliver(job))

    def _settle(self, job: Job, part: Part) -> Report:
        return self.sending.settle(job, part, self._openai(job.account))

    def _follow(self, job: Job, part: Part, live: int) -> None:
        """Take in what is known of the batch of a part."""
        record = self.ledger.get(job.account, part.batch_id or "")
        if not record.v and not record.open:  # who made it did not come to that
            self.sending.register(job, part)
        now = self.clock()
        if followed(part, record, now, live) == part:
            return

        def note(job: Job) -> Job | None:
            before = job.part(part.number)
            if before.batch_id != part.batch_id:
                return None
            after = followed(before, record, now, live)
            if after.state in UNSENT and after.held:
                return self.narrator.waiting(line_held(job, after), after.held.why, now)
            return job.with_part(after)

        self.jobs.change(job.job_id, note)

    def moved_on(self, job: Job) -> Job | None:
        """Drop what is not to be sent any more; and begin to merge when all parts are over."""
        if job.stage is not Stage.SENDING:
            return None
        job = self.narrator.submitted(job, self.clock())
        if job.cancelled:
            for part in job.parts:
                if part.state in UNSENT:
                    job = job.with_part(part.but(state=PartState.DROPPED, held=None))
        if any(part.state not in FINAL for part in job.parts):
            return job
        if any(part.pieces for part in job.parts):
            return job.but(stage=Stage.MERGING)
        return self.ended(job)

    def ended(self, job: Job) -> Job:
        """End a job whose parts are over, and whose results are merged."""
        if job.cancelled:
            return self.narrator.ended(job, Outcome.CANCELLED, self.clock())
        if any(part.state is PartState.ENDED for part in job.parts):
            return self.narrator.ended(job, Outcome.COMPLETED, self.clock())
        why = next((part.reason for part in job.parts if part.reason), "no part of it was taken")
        return self.narrator.ended(job, Outcome.REFUSED, self.clock(), why)

    def _send(self, account: str, jobs: Sequence[Job], stop_at: float) -> Report:
        """Send, in order, whatever may be sent; nothing more once the account is in trouble."""
        queue = queue_of(jobs, self.clock())
        report, touched = Report(), set()
        for turn in queue.turns:
            if self.clock() >= stop_at:
                break
            sent = self.sending.send(turn, self._openai(account))
            touched.add(turn.job_id)
            report += sent
            if any(_of_account(problem.error) for problem in sent.problems):
                break
        for job_id in queue.behind:
            self.jobs.change(job_id, self._behind)
        for job_id in touched | queue.behind:
            report += self.deliver(job_id)
        return report

    def _behind(self, job: Job) -> Job | None:
        told = job.waiting is not None or job.stage is not Stage.SENDING
        return None if told else self.narrator.waiting(job, Why.TOKEN_LIMIT, self.clock())

    def _cancel(self, job: Job, part: Part, batch_id: str) -> Report:
        report = Report()
        try:
            self._openai(job.account).cancel(batch_id)
        except EndedError:
            pass  # too late: it ends as it has ended
        except (OpenAIError, SecretError) as error:
            return Report(problems=[Problem(error, job.account, batch_id)])

        def note(job: Job) -> Job:
            return job.with_part(job.part(part.number).but(asked_to_cancel=True))

        self.jobs.change(job.job_id, note)
        return report

    def _order(self, job: Job) -> None:
        """Ask a worker for what takes long; again, if nobody did it for long."""
        until = self.clock() + ORDER_AGAIN

        def note(job: Job) -> Job | None:
            if not _needs_a_worker(job, self.clock()):
                return None
            return job.but(lease=Lease(owner=QUEUE, until=until))

        if self.jobs.change(job.job_id, note).written:
            self.queue.order(job.job_id)

    def _openai(self, account: str) -> OpenAI:
        return self.openai(self.accounts.get(account))


def guarded(account: str, do: Callable[[], Report]) -> Report:
    """Do something for an account; what goes wrong is told, and tried again by the next tick."""
    try:
        return do()
    except Exception as error:  # noqa: BLE001 - the others go on
        return Report(problems=[Problem(error, account)])


def _of_account(error: BaseException) -> bool:
    """Whether the next request of the account is likely to fail as well."""
    if not isinstance(error, OpenAIError):
        return False
    why = why_refused(error)
    return error.uncertain or (why is not None and why.of_account)


def _live(jobs: Iterable[Job]) -> dict[str, int]:
    """Count the batches of each line."""
    live: dict[str, int] = defaultdict(int)
    for part in (part for job in jobs for part in job.parts):
        live[part.line] += part.state in {PartState.SENDING, PartState.LIVE}
    return live


def _needs_a_worker(job: Job, now: float) -> bool:
    """Whether something of a job takes long, and nobody is at it."""
    if job.leased(now):
        return False
    if job.stage in {Stage.READING, Stage.MERGING}:
        return True
    return job.stage is Stage.SENDING and any(to_upload(job, now))


def to_upload(job: Job, now: float) -> Iterable[Part]:
    """The parts of a job that are to be sent to OpenAI as files now."""
    if job.cancelled or any(blocks_account(part, now) for part in job.parts):
        return
    for part in job.parts:
        due = part.held is None or part.held.until <= now
        if part.state is PartState.PLANNED and due:
            yield part
