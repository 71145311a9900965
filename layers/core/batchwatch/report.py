"""What an invocation did: facts for the log and the metrics, told by the handler."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from batchwatch.events import ENDS, BatchEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchwatch.batch import Usage
    from batchwatch.job_events import Event

_LATE = {*ENDS, "batch.archived"}


class End(NamedTuple):
    """What a batch came to that has ended, as OpenAI counts."""

    model: str | None
    requests: int
    failed: int
    usage: Usage | None


class Told(NamedTuple):
    """An event that was published, by what a line of log needs of it.

    delay  seconds from the end of the batch, by OpenAI's clock, until this was known of it
    """

    id: str
    type: str
    account: str
    subject: str
    sequence: int
    reduced: bool
    delay: float | None = None
    end: End | None = None

    @classmethod
    def of(cls, event: Event) -> Self:
        """Keep what is needed; the batch is not held on to."""
        about = (event.type, event.data.account, event.subject, event.data.sequence)
        told = cls(event.id, *about, event.data.reduced)
        if not isinstance(event, BatchEvent):
            return told
        return told._replace(delay=_delay(event), end=_end(event))


class Problem(NamedTuple):
    """Something that went wrong, set aside so that the rest could go on.

    `whole`: the account (or the secret) cannot be used at all.
    """

    error: BaseException
    account: str | None = None
    batch_id: str | None = None
    whole: bool = False


@dataclass
class Report:
    """The sum of an invocation.

    again           seconds after which unfinished work should be tried
    further         some of it was done
    left            batches that there was no time for
    oldest_pending  seconds for which an ended batch has been waiting for its files
    repairs         what a backstop had to put right, by its kind: Outbox, Order, Index
    """

    open: int = 0
    events: list[Told] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    bytes_archived: int = 0
    again: float | None = None
    further: bool = False
    left: int = 0
    oldest_pending: float = 0
    repairs: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """Report events that were published."""
        return cls(events=[Told.of(event) for event in events])

    def __add__(self, other: Report) -> Report:
        """Both together, in a new one."""
        both = Report()
        both += self
        both += other
        return both

    def __iadd__(self, other: Report) -> Self:
        """Take in another report."""
        self.open += other.open
        self.events += other.events
        self.problems += other.problems
        self.bytes_archived += other.bytes_archived
        self.left += other.left
        self.oldest_pending = max(self.oldest_pending, other.oldest_pending)
        self.repairs += other.repairs
        self.further = self.further or other.further
        waits = [wait for wait in (self.again, other.again) if wait is not None]
        self.again = min(waits) if waits else None
        return self


def _delay(event: BatchEvent) -> float | None:
    ended = event.data.batch.status_at if event.type in _LATE else None
    return None if ended is None else max(0.0, event.data.observed_at.timestamp() - ended)


def _end(event: BatchEvent) -> End | None:
    batch = event.data.batch
    if event.type not in ENDS or event.data.reduced:
        return None
    counts = batch.counts
    total, failed = ((counts.total or 0), (counts.failed or 0)) if counts else (0, 0)
    return End(batch.model, total, failed, batch.usage)
