"""Mending the archive of a batch: what is wrong is copied again, and only that.

An object that is in the way is deleted first, if it is still the one that was looked at, and the
ledger what it was compared with; then the ledger says what is to be copied; then the archiver is
told. Whoever stops in between is followed by the next who looks: the object is missing then, or
the poller gives the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.again import ask_again
from batchwatch.batch import Role
from batchwatch.cli.mend.verifying import Found, Verifying
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.record import FileState
from batchwatch.submit.job import is_job_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from batchwatch.cli.mend.verifying import Finding
    from batchwatch.cli.stack import Stack
    from batchwatch.record import Record

KEPT = 30 * 24 * 3600
"""Seconds for which OpenAI keeps the files of a batch, as it says."""
_TRIES = 3
_LOST = {FileState.GONE, FileState.FAILED}
_IN_WORK = {Found.PENDING, Found.AWAITED, Found.UNKNOWN}


class Case(NamedTuple):
    """A batch, and what was found of its files."""

    known: Record
    findings: tuple[Finding, ...] = ()

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The files to be copied again."""
        return tuple(each for each in self.findings if each.found.wrong)

    @property
    def in_the_way(self) -> frozenset[tuple[str, str]]:
        """Objects that a copy could not replace: key and ETag."""
        return frozenset((each.key, each.etag) for each in self.wrong if each.etag)

    @property
    def in_work(self) -> bool:
        """Whether files have not found their end yet."""
        return any(each.found in _IN_WORK for each in self.findings)

    @property
    def well(self) -> bool:
        """Whether the batch has ended, and all of it is there."""
        return self.known.terminal and not self.wrong and not self.in_work

    def too_late(self, now: float) -> bool:
        """Whether OpenAI will hardly have the files any more that are to be copied."""
        created = self.known.created_at
        fetched = any(each.role is not Role.RECORD for each in self.wrong)
        return fetched and created is not None and now > created + KEPT

    def worker_until(self, now: float) -> float | None:
        """Until when a worker has a file of it at this moment; None if none has."""
        held = [f.lease.until for f in self.known.files.values() if f.lease and f.by_worker]
        return max((until for until in held if until > now), default=None)


def refuse_jobs(stack: Stack, ids: Iterable[str]) -> None:
    """Raise CommandError that names its batches where an id is that of a job."""
    for each in filter(is_job_id, ids):
        job = stack.jobs.get(each)
        if job is None:
            raise CommandError(Code.NOT_FOUND, f"the stack {stack.name!r} knows no job {each}")
        batches = [part.batch_id for part in job.parts if part.batch_id]
        way_out = (
            f"it has: batchwatch archive {' '.join(batches)}" if batches else "it has none yet"
        )
        raise CommandError(Code.USAGE, f"{each} is a job; it is batches that are archived", way_out)


def look(stack: Stack, known: Record, tell: Callable[[int], None]) -> Case:
    """Look at all that is archived of a batch; `tell` is told of bytes as they are read."""
    verifying = Verifying(stack.client("s3"), stack.bucket, tell)
    return Case(known, tuple(verifying.look(known)))


def mend(stack: Stack, case: Case, now: float) -> Record:
    """Have what is wrong copied again; return the batch as it is now.

    Where somebody else was faster, what is there by then is looked at anew. CommandError if that
    goes on, or an object is in the way by then that nobody has agreed to delete.
    """
    agreed = case.in_the_way
    for _ in range(_TRIES):
        if not case.wrong:
            return case.known
        if not case.in_work and case.in_the_way <= agreed and _take_away(stack, case):
            roles = [each.role for each in case.wrong]
            change = ask_again(case.known, roles, now)
            after = stack.ledger.write(case.known, change) if change else case.known
            if change and after.attempt == change.attempt and not _ended(after, roles):
                stack.orders.give(after.account, after.batch_id)
                return after
        case = look(stack, stack.ledger.get(case.known.account, case.known.batch_id), _nobody)
    raise CommandError(
        Code.LATER,
        f"somebody else is at the archive of {case.known.batch_id}, too",
        "look again in a while: batchwatch archive --check",
    )


def incomplete(known: Record) -> bool:
    """Whether a file of it could not be had."""
    return any(file.state in _LOST for file in known.files.values())


def must_keep_versions(stack: Stack) -> None:
    """Raise CommandError where an object that is deleted is not kept as an older version."""
    said = stack.client("s3").get_bucket_versioning(Bucket=stack.bucket)
    if said.get("Status") != "Enabled":
        raise CommandError(
            Code.BAD_NEWS,
            f"the bucket {stack.bucket} keeps no versions: what is deleted would be lost for good",
            "turn its versioning on again, as the template has it; nothing was done",
        )


def _take_away(stack: Stack, case: Case) -> bool:
    """Delete what is in the way; False if something is not any more what was looked at."""
    known, s3 = case.known, stack.client("s3")
    # What is in the way by an older state of the ledger may be what the newer one tells of.
    if case.in_the_way and stack.ledger.get(known.account, known.batch_id).v != known.v:
        return False
    for key, etag in sorted(case.in_the_way):
        try:
            s3.delete_object(Bucket=stack.bucket, Key=key, IfMatch=etag)
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "NoSuchKey"}:
                raise
            return False
    return True


def _ended(known: Record, roles: list[Role]) -> bool:
    return any(known.files[role].state.final for role in roles)


def _nobody(_: int) -> None:
    pass
