"""Batches and jobs as what files are fetched of; and how to wait until they can be."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.batch import Role
from batchwatch.cli.fetch.fetching import NotFetchedError
from batchwatch.cli.look import view
from batchwatch.cli.trouble import Code, CommandError, trouble_of
from batchwatch.notify.wording import clean
from batchwatch.record import FileState
from batchwatch.submit.job import Job, Outcome, Stage, is_job_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.cli.output import Output
    from batchwatch.cli.stack import Stack
    from batchwatch.record import File, Record

_SHOWN = 3
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0  # seconds between two looks at what is waited for


class Target(NamedTuple):
    """A batch or a job, and what has become of its files.

    `waits_for`: why the files are not to be had yet, None: they are. `empty`: why there are
    neither answers nor errors of single requests. `wait` and `mend`: what to do about files that
    are not there yet, or wrong.
    """

    id: str
    files: Mapping[Role, File]
    waits_for: str | None
    empty: str
    wait: str
    mend: str

    def without(self, role: Role) -> NotFetchedError:
        """Say that it never had a file."""
        way_out = "inputs are archived with ArchiveInput=on" if role is Role.INPUT else ""
        return NotFetchedError("none", f"{self.id} has no {role} file", way_out, Code.NOT_FOUND)

    def unarchived(self, role: Role) -> NotFetchedError:
        """Say what became of a file that was not archived."""
        file = self.files[role]
        why = clean(file.reason or file.location or "")
        cause = f"the {role} file of {self.id} is {file.state}" + (why and f": {why}")
        way_out = self.mend if file.state is FileState.FAILED else ""
        return NotFetchedError(file.state.value, cause, way_out)


class Targets:
    """Batches and jobs as they are now; of batches, only files of some `roles` count, if given."""

    def __init__(self, stack: Stack, account: str | None, roles: frozenset[Role]) -> None:
        self._stack, self._account, self._roles = stack, account, roles
        self._of: dict[str, str] = {}
        self._found: dict[str, Target] = {}

    def must_exist(self, ids: list[str]) -> None:
        """Find them all; CommandError where one is unknown."""
        batches = [each for each in ids if not is_job_id(each)]
        for known in self._stack.find_all(batches, self._account) if batches else []:
            self._of[known.batch_id] = known.account
            self._found[known.batch_id] = _of_batch(known, self._roles)
        self._found |= {each: _of_job(self._job(each)) for each in filter(is_job_id, ids)}

    def get(self, each: str) -> Target:
        """Return one of them: first as it was found, then as it now is."""
        if each in self._found:
            return self._found.pop(each)
        if is_job_id(each):
            return _of_job(self._job(each))
        return _of_batch(self._stack.find(each, self._of[each]), self._roles)

    def awaited(self, each: str, out: Output) -> Target:
        """Wait until its files are there; while AWS is not to be reached, too."""
        told = ""
        for tries in count():
            try:
                target = self.get(each)
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None or trouble.code is not Code.LATER:
                    raise
                said = str(trouble)
            else:
                if target.waits_for is None:
                    return target
                said = target.waits_for
            if said != told:
                out.note(f"waiting: {clean(said)}")
                told = said
            time.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 1.5 ** min(tries, 20)))
        raise AssertionError  # it counts without an end

    def _job(self, job_id: str) -> Job:
        job = self._stack.jobs.get(job_id)
        if job is None:
            cause = f"the stack {self._stack.name!r} knows no job {job_id}"
            raise CommandError(
                Code.NOT_FOUND, cause, "batchwatch jobs shows those that are on their way"
            )
        return job


def _of_batch(known: Record, roles: frozenset[Role]) -> Target:
    batch_id, status = known.batch_id, view.status_of(known)
    empty, waits_for = f"{batch_id} {_ended(status)}, and left no answers", None
    if known.batch and known.batch.errors and known.batch.errors.data:
        empty += f": {clean(known.batch.errors.data[0].message or '')}"
    empty += "; there is only its record"
    if known.lost or known.abandoned:
        empty = f"{batch_id} is lost: OpenAI does not know it any more"
    elif not known.terminal:
        waits_for = f"{batch_id} has not ended yet; it is {clean(status)}"
    elif Role.RECORD not in known.files or any(
        not file.state.final for role, file in known.files.items() if not roles or role in roles
    ):
        waits_for = f"{batch_id} is being archived"
    return Target(
        batch_id,
        known.files,
        waits_for,
        empty,
        wait=f"batchwatch watch {batch_id} && batchwatch fetch {batch_id}",
        mend=f"batchwatch archive {batch_id}",
    )


def _of_job(job: Job) -> Target:
    waits_for = f"{job.job_id} is not done yet; it is {job.stage}"
    how = job.outcome or Outcome.COMPLETED
    empty = f"{job.job_id} {_ended(how)}, and left no answers"
    batches = [part.batch_id for part in job.parts if part.batch_id]
    return Target(
        job.job_id,
        job.merged,
        None if job.stage is Stage.DONE else waits_for,
        f"{empty}: {clean(job.reason)}" if job.reason else empty,
        wait=f"batchwatch fetch --wait {job.job_id}",
        mend=f"those of its parts are archived, too: batchwatch fetch {_some(batches)}",
    )


def _ended(status: str) -> str:
    was = "was " if status == Outcome.CANCELLED else ""
    return f"{was}{clean(status)}"


def _some(batches: list[str]) -> str:
    return " ".join([*batches[:_SHOWN], *(["..."] if batches[_SHOWN:] else [])])
