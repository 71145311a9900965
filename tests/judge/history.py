"""What the messages of a run tell of each batch: read, put in order, and judged (I2 and I3).

Written from the design alone, like the rest of the checker: nothing of `batchwatch` is used here.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TERMINAL = ("completed", "failed", "expired", "cancelled")
END = 4
RANKS = {
    "validating": 0,
    "in_progress": 1,
    "finalizing": 2,
    "cancelling": 3,
    **dict.fromkeys(TERMINAL, END),
}
STATUS_TYPES = {f"batch.{status}" for status in (*RANKS, "unknown")}
AFTER_THE_END = {"batch.archived", "batch.file_gone", "batch.file_failed"}
BEFORE_THE_END = {"batch.stalled", "batch.lost"}
_LARGEST = 64 * 1024
_TEXTS = ("id", "source", "type", "subject", "time", "dataschema")


class Event(NamedTuple):
    """A message, read; `text` is how it came."""

    text: str
    id: str
    type: str
    batch_id: str
    account: str
    sequence: int
    status: str
    previous: str | None
    time: datetime
    shown: Mapping[str, Any]
    files: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Where in the bucket the event is kept."""
        name = f"{self.sequence:04d}-{self.type}.json"
        return f"events/{self.account}/{self.batch_id}/{name}"


class History(NamedTuple):
    """The events of each batch, each once, in sequence; and what was wrong with the messages."""

    events: Mapping[str, Sequence[Event]]
    faults: Sequence[str]


def read(messages: Sequence[str]) -> History:
    """Read messages in whatever order they came; the same text again is no second message."""
    faults: list[str] = []
    by_id: dict[str, Event] = {}
    places: dict[tuple[str, int], str] = {}
    for number, text in enumerate(dict.fromkeys(messages), 1):
        try:
            event = _event(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            faults.append(f"I3 message {number}: is no event ({type(error).__name__}: {error})")
            continue
        if by_id.setdefault(event.id, event) is not event:
            faults.append(f"I2 {event.batch_id}: the id {event.id} came with two texts")
            continue
        place = (event.batch_id, event.sequence)
        if places.setdefault(place, event.id) != event.id:
            faults.append(f"I2 {event.batch_id}: sequence {event.sequence} has two ids")
    events = defaultdict(list)
    for event in sorted(by_id.values(), key=lambda event: event.sequence):
        events[event.batch_id].append(event)
    return History(events, faults)


def _event(text: str) -> Event:
    """Read a message, or raise over what is not as section 6 of the design has it."""
    said = json.loads(text)
    data, shown = said["data"], said["data"]["batch"]
    plain = (*(said[name] for name in _TEXTS), *(data[n] for n in ("account", "status")))
    if not all(isinstance(value, str) and value for value in plain):
        raise ValueError("a field without a text")
    whole = said["specversion"] == "1.0" and said["datacontenttype"] == "application/json"
    source = said["source"].startswith("urn:batchwatch:")
    if not whole or not source or not said["source"].endswith(f":{data['account']}"):
        raise ValueError("not the envelope of ours")
    if uuid.UUID(said["id"]).version != 5:
        raise ValueError("an id that is derived from nothing")
    if type(data["sequence"]) is not int or shown["id"] != said["subject"]:
        raise ValueError("no sequence, or another batch inside")
    if len(text.encode()) >= _LARGEST:
        raise ValueError("too large")
    time, seen = (datetime.fromisoformat(at) for at in (said["time"], data["observed_at"]))
    if None in {time.tzinfo, seen.tzinfo} or not data["observed_by"]:
        raise ValueError("seen nowhere, or by nobody")
    return Event(
        text=text,
        id=said["id"],
        type=said["type"],
        batch_id=said["subject"],
        account=data["account"],
        sequence=data["sequence"],
        status=data["status"],
        previous=data["previous_status"],
        time=time,
        shown=shown,
        files={role: dict(file) for role, file in (data.get("files") or {}).items()},
    )


def chain_faults(events: Sequence[Event], batch: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the life that the events tell; `batch`: what OpenAI itself has."""
    numbers = [event.sequence for event in events]
    if numbers != [*range(1, len(events) + 1)]:
        yield f"its events are numbered {numbers}"
    if events and events[0].previous is not None:
        yield f"its first event follows {events[0].previous}"
    for before, event in pairwise(events):
        if event.previous != before.status:
            yield f"{_name(event)} follows {before.status}, it says {event.previous}"
    yield from _backwards(events)
    for event in events:
        yield from _contradictions(event, batch)


def _backwards(events: Sequence[Event]) -> Iterator[str]:
    reached = -1
    for event in events:
        if event.type in AFTER_THE_END:
            if reached < END:
                yield f"{_name(event)} comes before the end"
        elif reached == END:
            yield f"{_name(event)} comes after the end"
        elif event.type in STATUS_TYPES and event.status in RANKS:
            if RANKS[event.status] <= reached:
                yield f"{_name(event)} goes back"
            reached = max(reached, RANKS[event.status])


def _contradictions(event: Event, batch: Mapping[str, Any]) -> Iterator[str]:
    """What an event says against itself, or against the clock of OpenAI."""
    if event.type not in STATUS_TYPES | AFTER_THE_END | BEFORE_THE_END:
        yield f"{_name(event)} is of no known type"
    elif event.type not in STATUS_TYPES:
        if event.status != event.previous:
            yield f"{_name(event)} is no transition, yet has a new status"
    elif event.type != f"batch.{event.status}":
        yield f"{_name(event)} says {event.status}"
    at = batch.get("created_at" if event.status == "validating" else f"{event.status}_at")
    if event.type not in STATUS_TYPES:
        at = None
    if isinstance(at, int) and event.time.timestamp() != at:
        yield f"{_name(event)} is dated {event.time.isoformat()}, OpenAI has {at}"
    inside = str(event.shown.get("status")).strip().lower()
    if event.type not in BEFORE_THE_END and event.status in RANKS and inside != event.status:
        yield f"{_name(event)} says {event.status}, the batch in it {inside}"


def _name(event: Event) -> str:
    return f"event {event.sequence} ({event.type})"
