"""A batch of the ledger as the status page shows it. Pure.

Only what the ledger tells goes onto the page. What OpenAI wrote about a request may quote it, so
such a text stays behind; the page says how often it came, of which lines, and where to read it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from batchwatch.batch import Role, Status
from batchwatch.cli.look import detail, view
from batchwatch.cli.page.overview import Card, Stored
from batchwatch.notify.digest import title
from batchwatch.notify.wording import clean, number, plural

if TYPE_CHECKING:
    from batchwatch.batch import Batch
    from batchwatch.items import Row
    from batchwatch.prices import Prices
    from batchwatch.record import File, Record

_ID, _VALUE, _SHORT, _PLACE = 512, 512, 80, 1100
_LINES = 5
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # anything else is no code, and may be a quotation
_LATE = 3600
"""Seconds after its end from which on a batch whose files are not in the bucket is in trouble."""
_WAITS = "files waiting"


def card_of(row: Row, prices: Prices, at: float) -> Card:
    """Return what is shown of a batch at a moment, in seconds since 1970."""
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
    place = clean(file.s3_uri, _PLACE) if file.s3_uri else None
    return Stored(role.value, file.state.value, file.bytes, lines, place)


def _problems(known: Record, *, waits: bool) -> list[str]:
    """Return what is wrong, but for the texts of validation errors."""
    batch = known.batch
    cut = _cut_short(batch)
    said_here = {"errors": None, "request_counts": None} if cut else {"errors": None}
    silent = batch.model_copy(update=said_here) if batch else None
    told = [cut] if cut else []
    told += detail.problems(known.model_copy(update={"batch": silent}), ())
    since = detail.at(max(known.progressed_at, known.moved_at) or known.created_at)
    stalled = f"stalled: nothing has changed since {since}"
    if waits:
        since = detail.at(_seen_to_end(known))
        told.append(f"it ended at {since}, and its files are not in the bucket yet")
    return _refusals(batch) + [stalled if text == "stalled" else text for text in told]


def _cut_short(batch: Batch | None) -> str | None:
    """`48 of 80 requests succeeded, 30 never ran, 2 failed`: where it ended before its time."""
    ended_early = batch is not None and batch.status in {Status.EXPIRED, Status.CANCELLED}
    counts = batch.counts if batch and ended_early else None
    if counts is None:
        return None
    told = f"{number(counts.completed or 0)} of {plural(counts.total or 0, 'request')} succeeded"
    told += f", {number(counts.unfinished)} never ran" if counts.unfinished else ""
    return told + (f", {number(counts.failed)} failed" if counts.failed else "")


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
    if known.batch and detail.standing(known) == "without success":
        texts[0] = _mend(known.batch)
    if known.batch and known.batch.errors and known.batch.errors.data:
        texts.append(f"To read what OpenAI says: batchwatch show {_id(known)}")
    if waits:
        texts.insert(0, "What stands in the way is found by batchwatch doctor.")
    return texts


def _mend(batch: Batch) -> str:
    usual = "Most often one mistake is in all of them. "
    if batch.file_id(Role.ERROR):
        reasons = "error.jsonl names the requests, and says why. "
        return f"{usual}{reasons}Mend that, and send the requests named there again."
    return f"{usual}Mend it, and send all requests of the batch again."
