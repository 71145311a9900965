"""What there is to say of a batch, fact by fact. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.batch import Batch, Role
from batchwatch.events import ENDS
from batchwatch.notify.advice import advice
from batchwatch.notify.wording import about, clean, duration, number, plural, size
from batchwatch.place import folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchwatch.events import ArchivedFile, BatchEvent
    from batchwatch.job_events import Event
    from batchwatch.prices import Cost

_REASONS = 3
_LOST = {"gone": "is gone", "failed": "could not be copied"}

Facts = list[tuple[str, str]]
"""Name and text of each: `Took`, `1 h 34 min`."""


def facts_of(events: Sequence[BatchEvent], said: str, bucket: str, cost: Cost | None) -> Facts:
    """Return what its events, in sequence, tell of a batch."""
    account, end = events[-1].data.account, end_of(events)
    batch = end or best(events)
    return [
        *_about(batch, account),
        *_requests_of(batch),
        *_time_taken(batch),
        *_usage(end, cost),
        *_trouble(events, batch, said),
        *_files(events, batch, bucket, account),
        *_left_out(events, bucket),
        *advice(said, batch, lost_files(events)),
    ]


def end_of(events: Sequence[BatchEvent]) -> Batch | None:
    """Return the batch as it ended, if its end is among what is told."""
    if not any(event.type in ENDS for event in events):
        return None
    return best([event for event in events if event.data.batch.status.terminal] or events)


def best(events: Sequence[BatchEvent]) -> Batch:
    """Return the batch as it was seen last by an event that holds all of it, if there is one."""
    return max(events, key=lambda event: (not event.data.reduced, event.data.sequence)).data.batch


def _about(batch: Batch, account: str) -> Facts:
    parts = [
        f"account {clean(account)}",
        *(clean(x, 80) for x in (batch.model, batch.endpoint) if x),
    ]
    return [("Batch", " · ".join(parts))]


def _requests_of(batch: Batch) -> Facts:
    counts = batch.counts
    if not counts:
        return []
    unfinished = counts.unfinished if batch.status.terminal else 0
    total, succeeded = counts.total or 0, counts.completed or 0
    told = requests(number(total), succeeded, counts.failed or 0, unfinished)
    return [("Requests", told + ("" if batch.status.terminal else ", so far"))]


def requests(total: str, succeeded: int, failed: int, unfinished: int) -> str:
    """`388 of 400 succeeded, 12 failed`; `total` is put as it is."""
    parts = [f"{number(succeeded)} of {total} succeeded"]
    parts += [f"{number(failed)} failed"] if failed else []
    parts += [f"{number(unfinished)} unfinished"] if unfinished else []
    return ", ".join(parts)


def _time_taken(batch: Batch) -> Facts:
    ended = batch.status_at if batch.status.terminal else None
    if ended is None or batch.created_at is None:
        return []
    return [("Took", duration(ended - batch.created_at))]


def _usage(end: Batch | None, cost: Cost | None) -> Facts:
    """Tokens are final, and told, with the end."""
    if end is None or end.usage is None or not all_tokens(end):
        return []
    usage, parts = end.usage, []
    if usage.input_tokens:
        details = usage.input_tokens_details
        cached = details.cached_tokens if details else None
        parts.append(f"{number(usage.input_tokens)} in")
        parts[0] += f" ({number(cached)} cached)" if cached else ""
    if usage.output_tokens:
        parts.append(f"{number(usage.output_tokens)} out")
    tokens = ", ".join(parts) or number(all_tokens(end))
    unknown = f"cost of {clean(end.model, 80)} unknown" if end.model else "cost unknown"
    return [("Tokens", f"{tokens}; {about(cost.dollars) if cost else unknown}")]


def all_tokens(batch: Batch) -> int:
    """Tokens of a batch, as far as it says; else 0."""
    usage = batch.usage
    if usage is None:
        return 0
    return usage.total_tokens or (usage.input_tokens or 0) + (usage.output_tokens or 0)


def _trouble(events: Sequence[BatchEvent], batch: Batch, said: str) -> Facts:
    """Why it failed, what became of its files, for how long it has stood still."""
    last = events[-1].data
    facts: Facts = []
    if said == "stalled" and last.stalled:
        what = clean(last.stalled.reason.replace("_", " "))
        facts.append(("Since", f"{what} for {duration(last.stalled.seconds)}"))
        facts.append(("Usual", clean(last.stalled.usual)))
    if said == "unknown":
        facts.append(("Status", clean(last.batch.raw_status)))
    facts += lost_facts(lost_files(events))
    if said in {"failed", "sent again"}:
        facts += [("Reason", reason) for reason in _reasons(batch)]
    return facts


def lost_files(events: Iterable[BatchEvent]) -> dict[str, ArchivedFile]:
    """Return the files that were not to be had."""
    files = [pair for event in events for pair in (event.data.files or {}).items()]
    return {role: file for role, file in files if file.state in _LOST}


def lost_facts(files: Mapping[str, ArchivedFile]) -> Facts:
    """Tell of each file that was not to be had, and why."""
    facts: Facts = []
    for role, file in files.items():
        if file.state in _LOST:
            why = f": {clean(file.reason)}" if file.reason else ""
            facts.append(("Lost", f"{_named(role)} {_LOST[file.state]}{why}"))
    return facts


def _named(role: str) -> str:
    return "batch.json" if role == Role.RECORD else f"{role}.jsonl"


def _left_out(events: Sequence[BatchEvent], bucket: str) -> Facts:
    """Where to read on, if SNS took no event of this batch as it was."""
    reduced = all(event.data.reduced for event in events)
    return too_long(events[0], bucket) if reduced else []


def too_long(event: Event, bucket: str) -> Facts:
    """Say where the events of a batch or a job lie."""
    where = f"s3://{bucket}/events/{event.data.account}/{event.subject}/"
    return [("More", f"too long to be told here: {clean(where, 1024)}")]


def _reasons(batch: Batch) -> list[str]:
    """Why validation failed: the first few reasons, each with its line, and how many more."""
    errors = batch.errors
    if errors is None or not errors.data:
        return []
    told = []
    for error in errors.data[:_REASONS]:
        where = f"line {clean(error.line, 20)}: " if error.line is not None else ""
        code = f" ({clean(error.code, 60)})" if error.code else ""
        told.append(f"{where}{clean(error.message or 'no message')}{code}")
    more = (errors.total or len(errors.data)) - len(told)
    return [*told, f"and {number(more)} more"] if more > 0 else told


def _files(events: Sequence[BatchEvent], batch: Batch, bucket: str, account: str) -> Facts:
    place = f"s3://{bucket}/{folder(account, batch)}"
    if archived := next((e for e in events if e.type == "batch.archived"), None):
        return files_fact(archived.data.files or {}, place)
    to_come = {Role.OUTPUT, Role.ERROR} - {*lost_files(events)}
    if batch.status.terminal and any(batch.file_id(role) for role in to_come):
        return [("Files", f"{clean(place, 1024)}  (as soon as copied)")]
    return []


def files_fact(files: Mapping[str, ArchivedFile], place: str) -> Facts:
    """Tell where files are, by their addresses or else that place, and how long they are."""
    shown = [role for role, file in files.items() if file.state not in _LOST]
    named = "; ".join(_file(role, files[role]) for role in shown if role != Role.RECORD)
    told = clean(_folder_of(files) or place, 1024)
    return [("Files", told + (f"  {named}" if named else ""))]


def _folder_of(files: Mapping[str, ArchivedFile]) -> str | None:
    uris = [file.s3_uri for file in files.values() if file.s3_uri]
    return uris[0].rpartition("/")[0] + "/" if uris else None


def _file(role: str, file: ArchivedFile) -> str:
    if file.state == "elsewhere":
        return f"{role}: {clean(file.location or 'elsewhere')}"
    return f"{_named(role)}, {plural(file.lines or 0, 'line')}, {size(file.bytes or 0)}"
