"""What has happened, for people: the events of many batches and jobs as one digest. Pure.

The worst comes first; among what is as bad, jobs come before batches.
Every text in it is one clean line (see `wording.clean`); a channel only lays it out, and escapes
what means something to it.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import BatchEvent, outcome
from batchwatch.job_events import JobEvent
from batchwatch.notify.facts import all_tokens, best, end_of, facts_of, lost_files, requests
from batchwatch.notify.jobs import job_facts, job_said, job_title
from batchwatch.notify.wording import about, clean, plural
from batchwatch.submit.unrun import sent_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchwatch.job_events import Event
    from batchwatch.prices import Cost

_NAMES = ("name", "title", "job", "description")
_LONGEST_NAME = 80
_ODD = {"batch.lost", "batch.stalled", "batch.unknown"}


class Tone(StrEnum):
    """How a batch or a job fares; a channel has a colour for each."""

    BAD = "bad"
    WARNING = "warning"
    GOOD = "good"
    NEUTRAL = "neutral"


_TONES = {
    "job refused": Tone.BAD,
    "job without success": Tone.BAD,
    "lost": Tone.BAD,
    "failed": Tone.BAD,
    "files lost": Tone.BAD,
    "without success": Tone.BAD,
    "job waiting": Tone.WARNING,
    "job cancelled": Tone.WARNING,
    "job files lost": Tone.WARNING,
    "job completed with errors": Tone.WARNING,
    "expired": Tone.WARNING,
    "stalled": Tone.WARNING,
    "unknown": Tone.WARNING,
    "cancelled": Tone.WARNING,
    "sent again": Tone.WARNING,
    "input lost": Tone.WARNING,
    "completed with errors": Tone.WARNING,
    "job completed": Tone.GOOD,
    "completed": Tone.GOOD,
    "archived": Tone.GOOD,
}
"""What may be said of a batch or a job, the worst first; other statuses come last."""
_SEVERITY = {said: place for place, said in enumerate(_TONES)}
_HAPPENED = {
    "without success": "no request succeeded",
    "job without success": "no request of a job succeeded",
    "job files lost": "merged files of a job lost",
    "sent again": "to be sent again",
}
_COUNTED = {
    "files lost": "with lost files",
    "input lost": "with a lost input",
    "without success": "with no success",
    "sent again": "to be sent again",
}
_OF_JOB = "job "


def counted(said: str, count: int) -> str:
    """`1 with lost files`, `2 jobs refused`: what is said of so many batches or jobs."""
    if said.startswith(_OF_JOB):
        what = said.removeprefix(_OF_JOB)
        return f"{plural(count, 'job')} {_COUNTED.get(what, what)}"
    return f"{count:,} {_COUNTED.get(said, said)}"


class Fact(NamedTuple):
    """A line about a batch or a job: `Requests`: `388 of 400 succeeded, 12 failed`."""

    name: str
    text: str


class Entry(NamedTuple):
    """What became of one batch or one job, by all of its events in the digest.

    subject  its id
    said     one of the keys of `_TONES`, or another status: `in progress`
    title    its name, by the metadata of the batch or the file of the job; else its id
    events   in sequence, each once
    end      the batch as it ended, if its end is told here; of a job, its batches tell
    cost     where its end is told here, and the model has a known price
    """

    account: str
    subject: str
    said: str
    title: str
    facts: tuple[Fact, ...]
    events: tuple[Event, ...]
    end: Batch | None = None
    cost: Cost | None = None

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
        return self.title != self.subject

    @property
    def noun(self) -> str:
        """`Batch` or `Job`: what it is, and the name of the fact about whose it is."""
        return "Job" if isinstance(self.events[-1], JobEvent) else "Batch"


class Digest(NamedTuple):
    """Entries, the worst first, of one stack."""

    stack: str
    bucket: str
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind, the worst first: `{"failed": 1, "completed": 8}`."""
        return dict(Counter(entry.said for entry in self.entries))

    @property
    def heading(self) -> str:
        """`1 failed, 8 completed`."""
        return ", ".join(counted(said, count) for said, count in self.counts.items())

    @property
    def size(self) -> str:
        """`2 jobs and 11 batches`."""
        nouns = Counter(entry.noun for entry in self.entries)
        told = [plural(nouns[noun], noun.lower()) for noun in ("Job", "Batch") if nouns[noun]]
        return " and ".join(told) or "0 batches"

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
    events: Iterable[Event],
    *,
    stack: str,
    bucket: str,
    price: Callable[[Batch], Cost | None],
) -> Digest:
    """Put events together, by batch and by job; repeated ones count once."""
    told = [*events]
    of_batches = _by_subject(event for event in told if isinstance(event, BatchEvent))
    of_jobs = _by_subject(event for event in told if isinstance(event, JobEvent))
    entries = [_entry(of_one, bucket, price) for of_one in of_batches]
    entries += [_job_entry(of_one, bucket) for of_one in of_jobs]
    entries.sort(key=lambda e: (e.severity, e.account, e.title, e.subject))
    return Digest(stack, bucket, tuple(entries))


_Told = TypeVar("_Told", BatchEvent, JobEvent)


def _by_subject(events: Iterable[_Told]) -> Iterable[list[_Told]]:
    """Group events by what they are about, each group in sequence."""
    found: dict[tuple[str, str], dict[str, _Told]] = {}
    for event in events:
        found.setdefault((event.data.account, event.subject), {})[event.id] = event
    for of_one in found.values():
        yield sorted(of_one.values(), key=lambda event: event.data.sequence)


def _job_entry(events: Sequence[JobEvent], bucket: str) -> Entry:
    last = events[-1]
    said = job_said(last)
    return Entry(
        account=clean(last.data.account),
        subject=clean(last.subject, 512),
        said=said,
        title=job_title(last),
        facts=tuple(Fact(name, text) for name, text in job_facts(last, said, bucket)),
        events=tuple(events),
    )


def _entry(
    events: Sequence[BatchEvent], bucket: str, price: Callable[[Batch], Cost | None]
) -> Entry:
    last = events[-1]
    end = end_of(events)
    cost = price(end) if end else None
    said = _said(events)
    return Entry(
        account=clean(last.data.account),
        subject=clean(last.subject, 512),
        said=said,
        title=title(best(events)),
        facts=tuple(Fact(name, text) for name, text in facts_of(events, said, bucket, cost)),
        events=tuple(events),
        end=end,
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
    if batch.status is Status.FAILED and sent_again(batch):
        return "sent again"
    if batch.status is not Status.COMPLETED:
        return batch.status.value
    if outcome(batch) == "none":
        return "without success"
    return "completed with errors" if outcome(batch) == "some" else "completed"


def title(batch: Batch) -> str:
    """The name that its metadata gives it, by one of the usual keys; else its id."""
    metadata = batch.metadata or {}
    for key in _NAMES:
        if name := clean(metadata.get(key) or "", _LONGEST_NAME):
            return name
    return clean(batch.id, 512)
