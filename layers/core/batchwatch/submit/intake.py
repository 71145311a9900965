"""A dropped file taken in: its options, its account, its lines; and what its owner is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from batchwatch.account import BASE_URL
from batchwatch.errors import RefusedJobError, SecretError
from batchwatch.submit.inbox import Arrival, is_sidecar, rejected_key
from batchwatch.submit.job import Part
from batchwatch.submit.options import read_options
from batchwatch.submit.reading import (
    Destination,
    Plan,
    RefusedReadingError,
    Report,
    read_into_parts,
    write_report,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchwatch.accounts import Accounts
    from batchwatch.archive import Archive
    from batchwatch.submit.inbox import Inbox, Rewritten
    from batchwatch.submit.job import Job
    from batchwatch.submit.options import Options

OPENAI_WINDOW = "24h"
"""The only completion window that OpenAI has; other providers have others."""
ONLY = "default"
"""The account of a file that names none, where the secret has several."""


class Taken(NamedTuple):
    """What is to be sent of a file, on whose account; `report`: where it is told what is not."""

    options: Options
    account: str
    parts: tuple[Part, ...]
    rejected: int
    report: str | None


class NotTakenError(RefusedJobError):
    """Raised when no batch is made of a file; `report`: where its owner is told why."""

    def __init__(self, message: str, report: str, account: str | None) -> None:
        super().__init__(message)
        self.report, self.account = report, account


class Intake(NamedTuple):
    """Where dropped files come in. `parts` and `rejected` are written to."""

    inbox: Inbox
    parts: Archive
    rejected: Rewritten
    accounts: Accounts
    on_bad_lines: Literal["quarantine", "refuse"]

    def wants(self, key: str) -> bool:
        """Whether an object is to be sent; not a folder, nor what tells how another one is."""
        return not key.endswith("/") and not is_sidecar(key)

    def take(self, job: Job, attempt: str, late: Callable[[], bool]) -> Taken:
        """Read a file into parts of this attempt; NotTakenError where it is not to be sent."""
        account: str | None = None
        try:
            with self.inbox.open(Arrival(job.key, job.version, job.size)) as dropped:
                beside = self.inbox.sidecar(job.key)
                options = read_options(beside, dropped.metadata, on_bad_lines=self.on_bad_lines)
                account = self._account(options)
                to = Destination(
                    self.parts,
                    self.rejected,
                    key=lambda number: f"inbox-parts/{job.job_id}/{attempt}/{number:04d}.jsonl",
                    lines_key=rejected_key(job.key, job.job_id, "lines.jsonl"),
                    late=late,
                )
                plan = read_into_parts(dropped, options, to)
        except RefusedJobError as error:
            plan = error.plan if isinstance(error, RefusedReadingError) else Plan()
            report = self._report(job, plan, str(error))
            names = self._names()
            known = account or (names[0] if len(names) == 1 else None)
            raise NotTakenError(str(error), report, known) from error
        report_uri = self._report(job, plan) if plan.rejected else None
        return Taken(options, account, _parts(plan), plan.rejected, report_uri)

    def _account(self, options: Options) -> str:
        """Which account is meant; a secret that cannot be read at all is no reason to refuse."""
        names, named = self._names(), options.account
        if named is None and len(names) == 1:
            named = names[0]
        try:
            account = self.accounts.get(named or ONLY)
        except SecretError as error:
            which = f"no usable account {named!r}" if named else f"no account {ONLY!r}"
            known = ", ".join(names) or "none"
            raise RefusedJobError(
                f"the secret has {which}; the option account may name one of these: {known}"
            ) from error
        if account.base_url == BASE_URL and options.completion_window != OPENAI_WINDOW:
            raise RefusedJobError(f"the option completion_window must be {OPENAI_WINDOW} at OpenAI")
        return account.name

    def _names(self) -> list[str]:
        return sorted(account.name for account in self.accounts.all().accounts)

    def _report(self, job: Job, plan: Plan, reason: str | None = None) -> str:
        key = rejected_key(job.key, job.job_id, "report.json")
        about = self.parts.uri(job.key)
        return write_report(
            self.rejected, key, Report(about, job.version, job.job_id, reason, plan)
        )


def _parts(plan: Plan) -> tuple[Part, ...]:
    return tuple(
        Part(
            number=planned.number,
            endpoint=planned.endpoint,
            model=planned.model,
            requests=planned.requests,
            key=planned.key,
            size=planned.size,
        )
        for planned in plan.parts
    )
