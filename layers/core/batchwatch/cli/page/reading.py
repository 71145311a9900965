"""What the status page shows, read from a stack: the ledger by its indexes, and the open jobs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.follow.progress import of_job
from batchwatch.cli.look import detail, view
from batchwatch.cli.page.alarms import ringing
from batchwatch.cli.page.cards import card_of
from batchwatch.cli.page.figures import DAY, RECENT, needs_you
from batchwatch.cli.page.overview import Card, Overview, Sending
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.advice import WHEN_SENT
from batchwatch.notify.wording import clean, plural
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.job import FINAL, PartState
from batchwatch.submit.unrun import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchwatch.cli.look.catalogue import Catalogue
    from batchwatch.cli.stack import Stack
    from batchwatch.errors import LedgerRowError
    from batchwatch.items import Row
    from batchwatch.submit.job import Job

    Seen = Callable[[int], None]
    """Is told how many batches have been read by now."""

_JOB_ID = re.compile(r"job_[0-9a-f]{24}")
_AT_ONCE = 100
_MOST = 20_000
"""Batches, beyond those asked for, that are looked through for what needs somebody."""
_OF_SOMEBODY = {Why.ACCOUNT_REFUSED, Why.FORBIDDEN}
"""What a job waits for that does not come by itself."""


def overview(  # noqa: PLR0913 - one each
    stack: Stack,
    *,
    at: float,
    since: float,
    limit: int,
    account: str | None = None,
    seen: Seen = lambda _: None,
) -> Overview:
    """Return what a stack knows at a moment; `at` and `since` in seconds since 1970.

    Those with work left are all there, however old they are and however many; `limit` is how many
    batches there are with the others, the newest of them made since `since`. What needs somebody
    is looked for among all of the last days, whatever was asked for. `account`: of this one only;
    CommandError where nothing is known of it.
    """
    accounts = [account] if account else stack.catalogue.accounts()
    asked = _asked(stack.catalogue, accounts, since, limit, seen)
    earlier, looked = _earlier(stack, accounts, asked, at, seen)
    cards = [card_of(row, stack.prices, at) for row in asked.rows.values()]
    troubles: list[LedgerRowError] = []
    jobs = [*stack.jobs.open_jobs(troubles)]
    if account and not (cards or asked.older or any(job.account == account for job in jobs)):
        _refuse_unknown(account, stack.catalogue.accounts())
    return Overview(
        stack=stack.name,
        region=stack.client("cloudformation").meta.region_name,
        at=at,
        since=since,
        older=asked.older,
        prices=stack.prices.told,
        batches=sorted(cards, key=_newest_first),
        jobs=[*map(_unreadable_job, troubles), *map(_sending, _of(account, jobs))],
        account=account and clean(account),
        earlier=earlier,
        looked=looked,
        alarms=ringing(stack),
    )


def _refuse_unknown(account: str, known: list[str]) -> None:
    if account not in known:
        cause = f"nothing is known of an account {clean(account)!r}"
        raise CommandError(Code.NOT_FOUND, cause, f"known: {', '.join(map(clean, known))}")


def _newest_first(card: Card) -> float:
    return -math.inf if card.created is None else -card.created


class _Asked(NamedTuple):
    """The batches that were asked for; `older`: whether there are others, made up to `until`."""

    rows: dict[tuple[str, str], Row]
    older: bool
    until: float


def _asked(
    catalogue: Catalogue, accounts: list[str], since: float, limit: int, seen: Seen
) -> _Asked:
    rows: dict[tuple[str, str], Row] = {}

    def others(found: Iterator[Row]) -> Iterator[Row]:
        """Give those that are not there yet, and renew those that are."""
        for row in found:
            new = _key(row) not in rows
            rows[_key(row)] = row
            seen(len(rows))
            if new:
                yield row

    for _ in others(catalogue.with_work_left(accounts)):
        pass
    open_ones = len(rows)
    for row in others(catalogue.newest(accounts, since=since, few=limit + 1)):
        if len(rows) > max(limit, open_ones):
            del rows[_key(row)]
            return _Asked(rows, older=True, until=_made(row))
    until = math.ceil(since) - 1
    before = catalogue.newest(accounts, until=until, few=_AT_ONCE)
    return _Asked(rows, older=any(_key(row) not in rows for row in before), until=until)


def _made(row: Row) -> float:
    return math.inf if row.known.created_at is None else row.known.created_at


def _earlier(
    stack: Stack, accounts: list[str], asked: _Asked, at: float, seen: Seen
) -> tuple[list[Card], float]:
    """Return what needs somebody of those not asked for; since when all were looked through."""
    first = at - RECENT - DAY  # what ended in that time may have been made a day before it
    found: list[Card] = []
    rows = stack.catalogue.newest(accounts, since=first, until=min(asked.until, math.ceil(at)))
    for count, row in enumerate(row for row in rows if _key(row) not in asked.rows):
        if count == _MOST:
            return found, min(at, _made(row))
        seen(len(asked.rows) + count + 1)
        card = card_of(row, stack.prices, at)
        if needs_you(card, at):
            found.append(card)
    return found, first


def _key(row: Row) -> tuple[str, str]:
    return row.known.account, row.known.batch_id


def _of(account: str | None, jobs: list[Job]) -> list[Job]:
    """Return the jobs of an account, the newest first; those of no account yet are all's."""
    its = [job for job in jobs if account is None or job.account in {account, "unknown"}]
    return sorted(its, key=lambda job: job.place, reverse=True)


def _unreadable_job(trouble: LedgerRowError) -> Sending:
    named = _JOB_ID.search(str(trouble))
    job_id = named[0] if named else "unknown"
    return Sending(
        id=job_id,
        name=job_id,
        status=view.UNREADABLE,
        good=False,
        created=None,
        parts=0,
        done=0,
        problems=["its row cannot be read: mend or delete that item of the table"],
    )


def _sending(job: Job) -> Sending:
    known = of_job(job, {})
    return Sending(
        id=clean(job.job_id),
        name=clean(job.key.removeprefix(INBOX)),
        status=known.status,
        good=known.good if known.over else None,
        created=job.arrived,
        parts=len(job.parts),
        done=sum(part.state in FINAL for part in job.parts),
        problems=_job_problems(job),
        what_next=_asked_of_you(job),
    )


def _asked_of_you(job: Job) -> list[str]:
    waits = job.waiting in _OF_SOMEBODY and view.status_of_job(job) == "waiting"
    return [WHEN_SENT[job.waiting]] if job.waiting and waits else []


def _job_problems(job: Job) -> list[str]:
    """Say why a job waits or was refused; a reason of ours, before anything was sent, in full."""
    told = []
    if job.reason and not job.parts:
        told.append(clean(job.reason))
    if job.waiting:
        why = job.waiting.value.replace("_", " ")
        told.append(f"waits since {detail.at(job.waiting_since)}: {why}")
    if refused := sum(part.state is PartState.REFUSED for part in job.parts):
        told.append(f"{plural(refused, 'part')} refused; why: batchwatch show {clean(job.job_id)}")
    if job.rejected:
        told.append(f"{plural(job.rejected, 'line')} set aside")
    return told
