"""Out of a table, to everybody who listens; then, when nothing is left, out of its index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from batchwatch.errors import RefusedEventError
from batchwatch.job_events import read_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchwatch.archive import Archive
    from batchwatch.job_events import Event
    from batchwatch.publish import Publisher


class Item(Protocol):
    """What a table holds of a batch or a job, as far as its outbox needs it."""

    @property
    def outbox(self) -> Mapping[int, str]:
        """Events not yet published, by sequence."""

    @property
    def open(self) -> bool:
        """Whether it is in the index of those with work left."""

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""


Kept = TypeVar("Kept", bound=Item)


class Table(Protocol[Kept]):
    """A table whose items have outboxes; each method returns the item as it now is."""

    def mark_published(self, known: Kept, sequence: int) -> Kept:
        """Take a published event out."""

    def replace_event(self, known: Kept, sequence: int, text: str) -> Kept:
        """Put another text in its place."""

    def close(self, known: Kept) -> Kept:
        """Take the item out of the index, if nothing at all is left to do."""


class Outbox(Generic[Kept]):
    """Where the events of a table go."""

    def __init__(self, table: Table[Kept], publisher: Publisher, archive: Archive) -> None:
        self.table, self.publisher, self.archive = table, publisher, archive

    def deliver(self, item: Kept) -> list[Event]:
        """Publish what the item holds, in sequence, and close it if that was all.

        Whoever dies in between leaves the entry for the next, who repeats the same text. An event
        that SNS refuses is told in a reduced form, under an id of its own.
        """
        events = []
        while item.outbox:
            sequence = min(item.outbox)
            frozen = item.outbox[sequence]
            event = read_event(frozen)
            try:
                self.publisher.publish(event, frozen)
            except RefusedEventError:
                if event.data.reduced:
                    raise
                item = self.table.replace_event(item, sequence, event.reduced().frozen())
                continue
            self.archive.keep(event, frozen)
            item = self.table.mark_published(item, sequence)
            events.append(event)
        if item.settled and item.open:
            self.table.close(item)
        return events
