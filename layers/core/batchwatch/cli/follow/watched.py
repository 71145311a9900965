"""What is watched, read from the tables: a hundred batches by one request, but none once over.

The accounts are asked for once, at the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.follow.progress import Seen, expected, of_batch, of_job, unreadable
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.record import Record
from batchwatch.submit.job import PartState, is_job_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchwatch.cli.stack import Stack
    from batchwatch.errors import LedgerRowError
    from batchwatch.items import Row
    from batchwatch.submit.job import Job

Key = tuple[str, str]
_SKEW = 2  # seconds by which two clocks of AWS may differ, and what is cut to whole ones


class Everything:
    """All batches and jobs with work left; new ones join in, and those that were seen stay."""

    def __init__(self, stack: Stack, account: str | None = None) -> None:
        self._stack, self._account = stack, account
        self._accounts = [account] if account else stack.catalogue.accounts()
        self._looks = _Looks(stack)
        self.unreadable: dict[str, None] = {}  # jobs of the table, each once

    def look(self) -> list[Seen]:
        """Return them all as they are now, each job in the place of its batches."""
        troubles: list[LedgerRowError] = []
        every = [*self._stack.jobs.open_jobs(troubles)]
        self.unreadable |= dict.fromkeys(map(str, troubles))
        jobs = [job for job in every if self._account in (None, job.account)]
        rows = [*self._stack.catalogue.with_work_left(self._accounts)]
        looks = self._looks
        looks.add_jobs(jobs)
        of_jobs = {(job.account, b) for job in looks.jobs.values() for b in _batches(job)}
        looks.add_keys(key for key in map(_key, rows) if key not in of_jobs)
        return [
            each
            for each in looks.look(jobs, rows)
            if each.kind == "job" or (each.account, each.id) not in of_jobs
        ]


class Chosen:
    """Some batches and jobs, by their ids; NOT_FOUND where one is unknown."""

    def __init__(self, stack: Stack, ids: Iterable[str], account: str | None = None) -> None:
        wanted = [*dict.fromkeys(ids)]
        batches = [each for each in wanted if not is_job_id(each)]
        self._looks = _Looks(stack)
        jobs = []
        for job_id in (each for each in wanted if is_job_id(each)):
            job = stack.jobs.get(job_id)
            if job is None:
                way_out = (
                    "a file just dropped takes some seconds; see what is open: batchwatch watch"
                )
                raise CommandError(
                    Code.NOT_FOUND, f"the stack {stack.name!r} knows no job {job_id}", way_out
                )
            jobs.append(job)
        self._looks.add_jobs(jobs)
        if batches:
            records = stack.find_all(batches, account)
            self._looks.add_keys((known.account, known.batch_id) for known in records)

    def look(self) -> list[Seen]:
        """Return them all as they are now."""
        return self._looks.look()


class Put(NamedTuple):
    """A file in the inbox: its key, when it came there by S3's clock, and what its job is named."""

    key: str
    at: float
    job_id: str


class Submitted:
    """Jobs of files that have just been put into the inbox; nothing is known of them at first."""

    def __init__(self, stack: Stack, files: Iterable[Put]) -> None:
        self._stack, self._files = stack, [*files]
        self._looks = _Looks(stack)

    def look(self) -> list[Seen]:
        """Return them all as they are now."""
        found = [job for put in self._files if (job := self._begun(put))]
        self._looks.add_jobs(found)
        self._files = [put for put in self._files if not any(_is_of(job, put) for job in found)]
        waiting = [expected(put.job_id, put.key, put.at) for put in self._files]
        return self._looks.look(found) + waiting

    def _begun(self, put: Put) -> Job | None:
        """Find the job of a file; where S3 tells of no versions, its name is not to be foreseen."""
        job = self._stack.jobs.get(put.job_id)
        if job:
            return job
        return next((job for job in self._stack.jobs.open_jobs() if _is_of(job, put)), None)


def _is_of(job: Job, put: Put) -> bool:
    late_enough = job.arrived >= put.at - _SKEW
    return job.job_id == put.job_id or (job.version is None and job.key == put.key and late_enough)


class _Looks:
    """What was last seen of each, so that what is over is not read again."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.jobs: dict[str, Job] = {}
        self._keys: dict[Key, None] = {}
        self._over: dict[Key, Seen] = {}

    def add_jobs(self, jobs: Iterable[Job]) -> None:
        self.jobs |= {job.job_id: job for job in jobs}

    def add_keys(self, keys: Iterable[Key]) -> None:
        self._keys |= dict.fromkeys(keys)

    def look(self, jobs: Iterable[Job] = (), fresh: Iterable[Row] = ()) -> list[Seen]:
        """Read what is not over, but `jobs` and `fresh` batches, which have been read just now."""
        just_read = {job.job_id for job in jobs}
        for job_id in [*self.jobs]:
            if (self.jobs[job_id].account, job_id) not in self._over and job_id not in just_read:
                self.jobs[job_id] = self._stack.jobs.get(job_id) or self.jobs[job_id]
        asked = [key for key in self._keys if key not in self._over]
        parts = [(job.account, b) for job in self.jobs.values() for b in _batches(job, live=True)]
        rows = {_key(row): row for row in fresh}
        wanted = [key for key in dict.fromkeys((*asked, *parts)) if key not in rows]
        rows |= {_key(row): row for row in self._stack.catalogue.batches(wanted, latest=True)}
        seen = []
        for key in asked:
            row = rows.get(key)
            if row is None:
                gone = "its item was deleted, so that it is watched no more"
                seen.append(unreadable(Record(account=key[0], batch_id=key[1]), gone))
            elif row.trouble:
                seen.append(unreadable(row.known, str(row.trouble)))
            else:
                seen.append(of_batch(row.known, self._stack.prices))
        known: dict[str, dict[str, Record]] = {}
        for row in rows.values():
            if not row.trouble:
                known.setdefault(row.known.account, {})[row.known.batch_id] = row.known
        for job_id, job in self.jobs.items():
            if (job.account, job_id) not in self._over:
                seen.append(of_job(job, known.get(job.account, {})))
        before = [*self._over.values()]
        self._over |= {(each.account, each.id): each for each in seen if each.over}
        return before + seen


def _key(row: Row) -> Key:
    return row.known.account, row.known.batch_id


def _batches(job: Job, *, live: bool = False) -> list[str]:
    states = {PartState.LIVE} if live else {*PartState}
    return [part.batch_id for part in job.parts if part.batch_id and part.state in states]
