"""Out of the ledger, to everybody who listens; then, when nothing is left, out of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.errors import RefusedEventError
from batchwatch.events import BatchEvent

if TYPE_CHECKING:
    from batchwatch.archive import Archive
    from batchwatch.ledger import Ledger
    from batchwatch.publish import Publisher
    from batchwatch.record import Record


class Outbox(NamedTuple):
    """Where the events of the ledger go."""

    ledger: Ledger
    publisher: Publisher
    archive: Archive

    def deliver(self, record: Record) -> list[BatchEvent]:
        """Publish what the item holds, in sequence, and close the batch if that was all.

        Whoever dies in between leaves the entry for the next, who repeats the same text. An event
        that SNS refuses is told in a reduced form, under an id of its own.
        """
        events = []
        while record.outbox:
            sequence = min(record.outbox)
            frozen = record.outbox[sequence]
            event = BatchEvent.model_validate_json(frozen)
            try:
                self.publisher.publish(event, frozen)
            except RefusedEventError:
                if event.data.reduced:
                    raise
                text = event.reduced().frozen()
                record = self.ledger.replace_event(record, sequence, text)
                continue
            self.archive.keep(event, frozen)
            record = self.ledger.mark_published(record, sequence)
            events.append(event)
        if record.settled and record.open:
            self.ledger.close(record)
        return events
