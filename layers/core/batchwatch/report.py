"""What an invocation did: facts for the log and the metrics, told by the handler."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchwatch.job_events import Event


class Told(NamedTuple):
    """An event that was published, by what a line of log needs of it."""

    id: str
    type: str
    account: str
    subject: str
    sequence: int
    reduced: bool


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
        """Report events that were published; the batches in them are not held on to."""
        return cls(
            events=[
                Told(e.id, e.type, e.data.account, e.subject, e.data.sequence, e.data.reduced)
                for e in events
            ]
        )

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
