"""What the status page shows, read from a stack: the ledger by its indexes, and the open jobs.

Only what the ledger tells goes onto the page. What OpenAI wrote about a request may quote it, so
such a text stays behind; the page says how often it came, of which lines, and where to read it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from batchwatch.batch import Role
from batchwatch.cli.follow.progress import of_job
from batchwatch.cli.look import detail, view
from batchwatch.cli.page.overview import Card, Overview, Sending, Stored
from batchwatch.notify.advice import WHEN_SENT
from batchwatch.notify.digest import title
from batchwatch.notify.wording import clean, number, plural
from batchwatch.submit.inbox import INBOX
from batchwatch.submit.job import FINAL, PartState
from batchwatch.submit.unrun import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchwatch.batch import Batch
    from batchwatch.cli.look.catalogue import Catalogue
    from batchwatch.cli.stack import Stack
    from batchwatch.errors import LedgerRowError
    from batchwatch.items import Row
    from batchwatch.prices import Prices
    from batchwatch.record import File, Record
    from batchwatch.submit.job import Job

    Seen = Callable[[int], None]
    """Is told how many batches have been read by now."""

_ID, _VALUE, _SHORT = 512, 512, 80
_LINES = 5
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # anything else is no code, and may be a quotation
_JOB_ID = re.compile(r"job_[0-9a-f]{24}")
_AT_ONCE = 100
_LATE = 3600
"""Seconds after its end from which on a batch whose files are not in the bucket is in trouble."""
_WAITS = "files waiting"
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
    batches there are with the others, the newest of them made since `since`. `account`: of this
    one only.
    """
    accounts = [account] if account else stack.catalogue.accounts()
    rows, older = _rows(stack.catalogue, accounts, since, limit, seen)
    cards = [_card(row, stack.prices, at) for row in rows]
    return Overview(
        stack=stack.name,
        region=stack.client("cloudformation").meta.region_name,
        at=at,
        since=since,
        older=older,
        prices=stack.prices.told,
        batches=sorted(cards, key=_newest_first),
        jobs=_jobs(stack, account),
    )


def _newest_first(card: Card) -> float:
    return -math.inf if card.created is None else -card.created


def _rows(
    catalogue: Catalogue, accounts: list[str], since: float, limit: int, seen: Seen
) -> tuple[list[Row], bool]:
    """Read the batches; and whether there are older ones."""
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
            return [*rows.values()], True
    there = {*rows}
    before = catalogue.newest(accounts, until=math.ceil(since) - 1, few=_AT_ONCE)
    return [*rows.values()], any(_key(row) not in there for row in before)


def _key(row: Row) -> tuple[str, str]:
    return row.known.account, row.known.batch_id


def _card(row: Row, prices: Prices, at: float) -> Card:
    known, batch = row.known, row.known.batch
    counts = batch.counts if batch else None
    usage = batch.usage if batch else None
    cost = prices.cost(batch) if batch else None
    job = view.job_of(known)
    unreadable = row.trouble is not None
    waits = not unreadable and _waits(known, at)
    return Card(
        id=_id(known),
        account=clean(known.account),
        name=title(batch) if batch else _id(known),
        status=view.UNREADABLE if unreadable else clean(view.status_of(known), _SHORT),
        standing=view.UNREADABLE if unreadable else _WAITS if waits else detail.standing(known),
        good=False if unreadable else None if waits else _good(known),
        created=known.created_at,
        ended=_ended(known),
        expires=batch.expires_at if batch and not known.terminal else None,
        seen=known.progressed_at or None,
        stages=detail.stages(batch) if batch else [],
        archived=None,  # the ledger does not note it
        total=(counts.total or 0) if counts else 0,
        completed=(counts.completed or 0) if counts else 0,
        failed=(counts.failed or 0) if counts else 0,
        left=view.seconds_left(known),
        endpoint=_short(batch.endpoint) if batch else None,
        model=_short(batch.model) if batch else None,
        tokens_in=usage.input_tokens if usage else None,
        tokens_out=usage.output_tokens if usage else None,
        cost=None if cost is None else float(cost.dollars),
        files=[_stored(role, file) for role, file in known.files.items()],
        problems=[f"in the ledger: {row.trouble}"] if unreadable else _problems(known, waits=waits),
        what_next=["Mend or delete that item of the table."]
        if unreadable
        else _what_next(known, waits=waits),
        metadata=_metadata(batch) if batch else {},
        job=job[0] if job else None,
        priced=prices.listed(batch.model) if batch else None,
    )


def _id(known: Record) -> str:
    """Return the id; somebody may have registered a key in the place of one."""
    return "sk-…" if known.batch_id.strip().startswith("sk-") else clean(known.batch_id, _ID)


def _short(text: str | None) -> str | None:
    return clean(text, _SHORT) if text else None


def _metadata(batch: Batch) -> dict[str, str]:
    return {clean(k, 64): clean(v, _VALUE) for k, v in (batch.metadata or {}).items()}


def _good(known: Record) -> bool | None:
    """Whether it ended as hoped for; a file that is lost tells before the others are done with."""
    if not (known.terminal or view.over(known)):
        return None
    return view.good(known) and not view.incomplete(known)


def _waits(known: Record, at: float) -> bool:
    """Whether its files, or some of them, should long be in the bucket."""
    copying = known.terminal and not (known.archived or known.lost or view.incomplete(known))
    return copying and at - _seen_to_end(known) > _LATE


def _seen_to_end(known: Record) -> float:
    return max(known.moved_at, (known.batch and known.batch.status_at) or 0)


def _ended(known: Record) -> float | None:
    if known.lost:
        return known.lost_at
    return known.batch.status_at if known.terminal and known.batch else None


def _stored(role: Role, file: File) -> Stored:
    lines = None if role is Role.RECORD else file.lines
    return Stored(role.value, file.state.value, file.bytes, lines)


def _problems(known: Record, *, waits: bool) -> list[str]:
    """Return what is wrong, but for the texts of validation errors."""
    batch = known.batch
    silent = batch.model_copy(update={"errors": None}) if batch else None
    told = detail.problems(known.model_copy(update={"batch": silent}), ())
    since = detail.at(max(known.progressed_at, known.moved_at) or known.created_at)
    stalled = f"stalled: nothing has changed since {since}"
    if waits:
        since = detail.at(_seen_to_end(known))
        told.append(f"it ended at {since}, and its files are not in the bucket yet")
    return _refusals(batch) + [stalled if text == "stalled" else text for text in told]


def _refusals(batch: Batch | None) -> list[str]:
    """Say why validation failed: what OpenAI calls it, how often, and in which lines."""
    found: dict[str, list[int | None]] = defaultdict(list)
    for error in batch.errors.data if batch and batch.errors else []:
        code = error.code if _CODE.fullmatch(error.code or "") else None
        found[code or "an error without a code"].append(error.line)
    texts = [f"{code}: {_where(lines)}" for code, lines in found.items()]
    more = ((batch and batch.errors and batch.errors.total) or 0) - sum(map(len, found.values()))
    return [*texts, f"and {number(more)} more errors"] if more > 0 else texts


def _where(lines: list[int | None]) -> str:
    """`3 times, in lines 2, 7 and 9`."""
    known = [number(line) for line in lines if line is not None]
    named = ", ".join(known[:_LINES]) + (" and others" if len(known) > _LINES else "")
    times = plural(len(lines), "time")
    return f"{times}, in line{'s' * (len(known) > 1)} {named}" if known else times


def _what_next(known: Record, *, waits: bool) -> list[str]:
    texts = detail.what_next(known)
    if known.batch and known.batch.errors and known.batch.errors.data:
        texts.append(f"To read what OpenAI says: batchwatch show {_id(known)}")
    if waits:
        texts.insert(0, "What stands in the way is found by batchwatch doctor.")
    return texts


def _jobs(stack: Stack, account: str | None) -> list[Sending]:
    """Read the files that are being sent, the newest first; those of no account yet are all's."""
    troubles: list[LedgerRowError] = []
    jobs = [
        job
        for job in stack.jobs.open_jobs(troubles)
        if account is None or job.account in {account, "unknown"}
    ]
    newest = sorted(jobs, key=lambda job: job.place, reverse=True)
    return [*map(_unreadable_job, troubles), *map(_sending, newest)]


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
