"""What has happened, for people: the events of many batches as one digest, the worst first. Pure.

Every text in it is one clean line (see `wording.clean`); a channel only lays it out, and escapes
what means something to it.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.batch import TERMINAL, Batch, Role, Status
from batchwatch.events import outcome
from batchwatch.notify.advice import advice
from batchwatch.notify.wording import clean, dollars, duration, number, plural, size
from batchwatch.place import folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.events import ArchivedFile, BatchEvent
    from batchwatch.prices import Cost

_NAMES = ("name", "title", "job", "description")
_LONGEST_NAME = 80
_REASONS = 3
_ENDS = {f"batch.{status}" for status in TERMINAL}
_ODD = {"batch.lost", "batch.stalled", "batch.unknown"}


class Tone(StrEnum):
    """How a batch fares; a channel has a colour for each."""

    BAD = "bad"
    WARNING = "warning"
    GOOD = "good"
    NEUTRAL = "neutral"


_SEVERITY = {
    "lost": 0,
    "failed": 1,
    "files lost": 2,
    "without success": 3,
    "expired": 4,
    "stalled": 5,
    "unknown": 6,
    "cancelled": 7,
    "completed with errors": 8,
    "completed": 9,
    "archived": 10,
}
"""What may be said of a batch, the worst first; other statuses come last."""
_TONES = {
    **dict.fromkeys(("lost", "failed", "files lost", "without success"), Tone.BAD),
    **dict.fromkeys(("expired", "stalled", "unknown", "cancelled"), Tone.WARNING),
    "completed with errors": Tone.WARNING,
    **dict.fromkeys(("completed", "archived"), Tone.GOOD),
}


_HAPPENED = {"without success": "no request succeeded"}
_COUNTED = {"files lost": "with lost files"}
_LOST = {"gone": "is gone", "failed": "could not be copied"}


def counted(said: str, count: int) -> str:
    """`1 with lost files`: what is said of so many batches."""
    return f"{count:,} {_COUNTED.get(said, said)}"


class Fact(NamedTuple):
    """A line about a batch: `Requests`: `388 of 400 succeeded, 12 failed`."""

    name: str
    text: str


class Entry(NamedTuple):
    """What became of one batch, by all of its events in the digest.

    said     one of the keys of `_SEVERITY`, or another status: `in progress`
    title    its name by its metadata, else its id
    events   in sequence, each once
    cost     where its end is told here, and the model has a known price
    """

    account: str
    batch_id: str
    said: str
    title: str
    facts: tuple[Fact, ...]
    events: tuple[BatchEvent, ...]
    cost: Cost | None

    @property
    def tone(self) -> Tone:
        """Whether that is good news."""
        return _TONES.get(self.said, Tone.NEUTRAL)

    @property
    def severity(self) -> int:
        """Place in the digest."""
        return _SEVERITY.get(self.said, len(_SEVERITY))

    @property
    def happened(self) -> str:
        """What is said, as it reads in front of a name: `no request succeeded`."""
        return _HAPPENED.get(self.said, self.said)

    @property
    def named(self) -> bool:
        """Whether the title is more than the id."""
        return self.title != self.batch_id

    @property
    def end(self) -> Batch | None:
        """The batch as it ended, if its end is told here."""
        return next((e.data.batch for e in self.events if e.type in _ENDS), None)


class Digest(NamedTuple):
    """Entries, the worst first, of one stack."""

    stack: str
    bucket: str
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many batches of each kind, the worst first: `{"failed": 1, "completed": 8}`."""
        return dict(Counter(entry.said for entry in self.entries))

    @property
    def heading(self) -> str:
        """`1 failed, 8 completed`."""
        return ", ".join(counted(said, count) for said, count in self.counts.items())

    @property
    def totals(self) -> str:
        """Requests, tokens and cost of all batches whose end is told here; empty if of none."""
        ends = [(entry.end, entry.cost) for entry in self.entries if entry.end]
        counts = [end.counts for end, _ in ends if end.counts]
        parts = []
        if counts:
            parts.append(
                _requests(
                    plural(sum(c.total or 0 for c in counts), "request"),
                    sum(c.completed or 0 for c in counts),
                    sum(c.failed or 0 for c in counts),
                    sum(c.unfinished for c in counts),
                )
            )
        if tokens := sum(_all_tokens(end) for end, _ in ends):
            parts.append(plural(tokens, "token"))
        if costs := [cost.dollars for _, cost in ends if cost]:
            unknown = sum(1 for end, cost in ends if _all_tokens(end) and not cost)
            without = f" (without {plural(unknown, 'batch')} of unknown price)" if unknown else ""
            parts.append(f"about {dollars(sum(costs, Decimal(0)))}{without}")
        return "; ".join(parts)


def digest_of(
    events: Iterable[BatchEvent],
    *,
    stack: str,
    bucket: str,
    price: Callable[[Batch], Cost | None],
) -> Digest:
    """Put events together, by batch; repeated ones count once."""
    by_batch: dict[tuple[str, str], dict[str, BatchEvent]] = {}
    for event in events:
        by_batch.setdefault((event.data.account, event.subject), {})[event.id] = event
    entries = [
        _entry(sorted(of_one.values(), key=_sequence), bucket, price)
        for of_one in by_batch.values()
    ]
    entries.sort(key=lambda e: (e.severity, e.account, e.title, e.batch_id))
    return Digest(stack, bucket, tuple(entries))


def _sequence(event: BatchEvent) -> int:
    return event.data.sequence


def _entry(
    events: Sequence[BatchEvent], bucket: str, price: Callable[[Batch], Cost | None]
) -> Entry:
    last = events[-1]
    batch = max(events, key=lambda e: (not e.data.reduced, e.data.sequence)).data.batch
    account = clean(last.data.account)
    end = next((e.data.batch for e in events if e.type in _ENDS), None)
    cost = price(end) if end else None
    said = _said(events)
    facts = (
        *_about(batch, account),
        *_requests_of(batch),
        *_time_taken(batch),
        *_usage(end, cost),
        *_trouble(events, batch, said),
        *_files(events, batch, bucket, last.data.account),
        *_left_out(events, bucket),
        *advice(said, batch, _lost_files(events)),
    )
    return Entry(
        account=account,
        batch_id=clean(last.subject, 512),
        said=said,
        title=_title(batch),
        facts=tuple(Fact(name, text) for name, text in facts),
        events=tuple(events),
        cost=cost,
    )


def _said(events: Sequence[BatchEvent]) -> str:
    """Say in a word what matters most: what is the case in the end, and what went wrong."""
    last = events[-1]
    if _lost_files(events):
        return "files lost"
    if end := next((event for event in events if event.type in _ENDS), None):
        return _end_said(end.data.batch)
    if last.type in _ODD or last.type == "batch.archived":
        return last.type.removeprefix("batch.")
    return clean(last.data.status.replace("_", " "), 40) or "unknown"


def _end_said(batch: Batch) -> str:
    if batch.status is not Status.COMPLETED:
        return batch.status.value
    if outcome(batch) == "none":
        return "without success"
    return "completed with errors" if outcome(batch) == "some" else "completed"


def _title(batch: Batch) -> str:
    """The name that its metadata gives it, by one of the usual keys; else its id."""
    metadata = batch.metadata or {}
    for key in _NAMES:
        if name := clean(metadata.get(key) or "", _LONGEST_NAME):
            return name
    return clean(batch.id, 512)


Facts = list[tuple[str, str]]


def _about(batch: Batch, account: str) -> Facts:
    parts = [f"account {account}", *(clean(x, 80) for x in (batch.model, batch.endpoint) if x)]
    return [("Batch", " · ".join(parts))]


def _requests_of(batch: Batch) -> Facts:
    counts = batch.counts
    if not counts:
        return []
    unfinished = counts.unfinished if batch.status.terminal else 0
    total, succeeded = counts.total or 0, counts.completed or 0
    told = _requests(number(total), succeeded, counts.failed or 0, unfinished)
    return [("Requests", told + ("" if batch.status.terminal else ", so far"))]


def _requests(total: str, succeeded: int, failed: int, unfinished: int) -> str:
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
    if end is None or end.usage is None or not _all_tokens(end):
        return []
    usage, parts = end.usage, []
    if usage.input_tokens:
        details = usage.input_tokens_details
        cached = details.cached_tokens if details else None
        parts.append(f"{number(usage.input_tokens)} in")
        parts[0] += f" ({number(cached)} cached)" if cached else ""
    if usage.output_tokens:
        parts.append(f"{number(usage.output_tokens)} out")
    tokens = ", ".join(parts) or number(_all_tokens(end))
    about = f"; about {dollars(cost.dollars)}" if cost else ""
    return [("Tokens", tokens + about)]


def _all_tokens(batch: Batch) -> int:
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
    for role, file in _lost_files(events).items():
        why = f": {clean(file.reason)}" if file.reason else ""
        facts.append(("Lost", f"{_named(role)} {_LOST[file.state]}{why}"))
    if said == "failed":
        facts += [("Reason", reason) for reason in _reasons(batch)]
    return facts


def _lost_files(events: Iterable[BatchEvent]) -> dict[Role, ArchivedFile]:
    files = [pair for event in events for pair in (event.data.files or {}).items()]
    return {role: file for role, file in files if file.state in _LOST}


def _named(role: Role) -> str:
    return "batch.json" if role is Role.RECORD else f"{role}.jsonl"


def _left_out(events: Sequence[BatchEvent], bucket: str) -> Facts:
    """Where to read on, if SNS took no event of this batch as it was."""
    if not all(event.data.reduced for event in events):
        return []
    where = f"s3://{bucket}/events/{events[0].data.account}/{events[0].subject}/"
    return [("More", f"too long to be told here: {clean(where, 1024)}")]


def _reasons(batch: Batch) -> list[str]:
    """Why validation failed: the first few reasons, each with its line, and how many more."""
    errors = batch.errors
    if errors is None or not errors.data:
        return []
    told = []
    for error in errors.data[:_REASONS]:
        where = f"line {error.line}: " if error.line is not None else ""
        code = f" ({clean(error.code, 60)})" if error.code else ""
        told.append(f"{where}{clean(error.message or 'no message')}{code}")
    more = (errors.total or len(errors.data)) - len(told)
    return [*told, f"and {more:,} more"] if more > 0 else told


def _files(events: Sequence[BatchEvent], batch: Batch, bucket: str, account: str) -> Facts:
    place = f"s3://{bucket}/{folder(account, batch)}"
    if archived := next((e for e in events if e.type == "batch.archived"), None):
        files = archived.data.files or {}
        shown = [role for role, file in files.items() if file.state not in _LOST]
        named = "; ".join(_file(role, files[role]) for role in shown if role != Role.RECORD)
        told = clean(_folder_of(files) or place, 1024)
        return [("Files", told + (f"  {named}" if named else ""))]
    if batch.status.terminal and any(batch.file_id(role) for role in (Role.OUTPUT, Role.ERROR)):
        return [("Files", f"{clean(place, 1024)}  (as soon as copied)")]
    return []


def _folder_of(files: dict[Role, ArchivedFile]) -> str | None:
    uris = [file.s3_uri for file in files.values() if file.s3_uri]
    return uris[0].rpartition("/")[0] + "/" if uris else None


def _file(role: Role, file: ArchivedFile) -> str:
    if file.state == "elsewhere":
        return f"{role}: {clean(file.location or 'elsewhere')}"
    return f"{_named(role)}, {plural(file.lines or 0, 'line')}, {size(file.bytes or 0)}"
