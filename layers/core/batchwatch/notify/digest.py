"""What has happened, for people: the events of many batches as one digest, the worst first. Pure.

Every text in it is one clean line (see `wording.clean`); a channel only lays it out, and escapes
what means something to it.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import outcome
from batchwatch.notify.facts import all_tokens, best, end_of, facts_of, lost_files, requests
from batchwatch.notify.wording import about, clean, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.events import BatchEvent
    from batchwatch.prices import Cost

_NAMES = ("name", "title", "job", "description")
_LONGEST_NAME = 80
_ODD = {"batch.lost", "batch.stalled", "batch.unknown"}


class Tone(StrEnum):
    """How a batch fares; a channel has a colour for each."""

    BAD = "bad"
    WARNING = "warning"
    GOOD = "good"
    NEUTRAL = "neutral"


_TONES = {
    "lost": Tone.BAD,
    "failed": Tone.BAD,
    "files lost": Tone.BAD,
    "without success": Tone.BAD,
    "expired": Tone.WARNING,
    "stalled": Tone.WARNING,
    "unknown": Tone.WARNING,
    "cancelled": Tone.WARNING,
    "input lost": Tone.WARNING,
    "completed with errors": Tone.WARNING,
    "completed": Tone.GOOD,
    "archived": Tone.GOOD,
}
"""What may be said of a batch, the worst first; other statuses come last."""
_SEVERITY = {said: place for place, said in enumerate(_TONES)}
_HAPPENED = {"without success": "no request succeeded"}
_COUNTED = {
    "files lost": "with lost files",
    "input lost": "with a lost input",
    "without success": "with no success",
}


def counted(said: str, count: int) -> str:
    """`1 with lost files`: what is said of so many batches."""
    return f"{count:,} {_COUNTED.get(said, said)}"


class Fact(NamedTuple):
    """A line about a batch: `Requests`: `388 of 400 succeeded, 12 failed`."""

    name: str
    text: str


class Entry(NamedTuple):
    """What became of one batch, by all of its events in the digest.

    said     one of the keys of `_TONES`, or another status: `in progress`
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
        return end_of(self.events)


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
                requests(
                    plural(sum(c.total or 0 for c in counts), "request"),
                    sum(c.completed or 0 for c in counts),
                    sum(c.failed or 0 for c in counts),
                    sum(c.unfinished for c in counts),
                )
            )
        if tokens := sum(all_tokens(end) for end, _ in ends):
            parts.append(plural(tokens, "token"))
        if costs := [cost.dollars for _, cost in ends if cost]:
            unknown = sum(1 for end, cost in ends if all_tokens(end) and not cost)
            without = f" (without {plural(unknown, 'batch')} of unknown price)" if unknown else ""
            parts.append(f"{about(sum(costs, Decimal(0)))}{without}")
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
    end = end_of(events)
    cost = price(end) if end else None
    said = _said(events)
    return Entry(
        account=clean(last.data.account),
        batch_id=clean(last.subject, 512),
        said=said,
        title=_title(best(events)),
        facts=tuple(Fact(name, text) for name, text in facts_of(events, said, bucket, cost)),
        events=tuple(events),
        cost=cost,
    )


def _said(events: Sequence[BatchEvent]) -> str:
    """Say in a word what matters most: what is the case in the end, and what went wrong."""
    last = events[-1]
    lost = set(lost_files(events))
    if lost - {Role.INPUT}:
        return "files lost"
    if end := end_of(events):
        return _end_said(end)
    if lost:
        return "input lost"
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
