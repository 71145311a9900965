"""Out of the ledger, to everybody who listens; then, when nothing is left, out of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.events import BatchEvent

if TYPE_CHECKING:
    from batchwatch.ledger import Ledger
    from batchwatch.publish import Publisher
    from batchwatch.record import Record


class Delivered(NamedTuple):
    """An item after its outbox was emptied, and the events that were in it."""

    record: Record
    events: list[BatchEvent]


def deliver(record: Record, ledger: Ledger, publisher: Publisher) -> Delivered:
    """Publish every event of the outbox in sequence, and close the batch if that was all.

    Whoever dies in between leaves the entry for the next, who repeats the same text.
    """
    events = []
    while record.outbox:
        sequence = min(record.outbox)
        frozen = record.outbox[sequence]
        publisher.publish(frozen)
        publisher.keep(frozen)
        record = ledger.published(record, sequence)
        events.append(BatchEvent.model_validate_json(frozen))
    if record.settled and record.open:
        record = ledger.close(record)
    return Delivered(record, events)
