"""Dead letters: what lies in a dead-letter queue, and where it would go back to. Pure."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from batchwatch.errors import BadMessageError
from batchwatch.job_events import read_event
from batchwatch.notify.wording import clean
from batchwatch.orders import read_order
from batchwatch.submit.inbox_queue import WorkOrder, read_message

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("archive", "inbox", "notify", "relay")
"""Queues that have dead letters; the last is there only where events are put on a bus."""


class What(NamedTuple):
    """What a message asks for: its kind, the account if it says, and what it is about."""

    kind: str
    account: str = ""
    about: str = ""


class Letter(NamedTuple):
    """A message of a dead-letter queue.

    what       None where the queue's worker could never read it
    body       what is sent back: as it came, out of the envelope of SNS if it is in one
    attributes of the message, as SQS takes them again
    sent_at    seconds since 1970
    received   how often, by workers and by who looked
    """

    queue: str
    id: str
    what: What | None
    body: str
    attributes: Mapping[str, Any]
    sent_at: float
    received: int

    @property
    def words(self) -> str:
        """What it is, in a line; never longer than a screen is wide."""
        if self.what is None:
            return f"unreadable: {clean(self.body, 60)}"
        account = f" ({clean(self.what.account, 32)})" if self.what.account else ""
        return f"{clean(self.what.kind, 40)} {clean(self.what.about, 100)}{account}"

    def said(self) -> dict[str, Any]:
        """Say the same as one JSON object."""
        what = self.what
        return {
            "queue": self.queue,
            "id": self.id,
            "readable": what is not None,
            "kind": what and what.kind,
            "account": (what and what.account) or None,
            "about": what.about if what else clean(self.body),
            "age_seconds": round(time.time() - self.sent_at),
            "received": self.received,
        }


def letter_of(queue: str, message: Mapping[str, Any]) -> Letter:
    """Read a message as SQS hands it out."""
    body = message["Body"]
    what = _read(queue, body)
    if what is None and (inner := _out_of_envelope(body)) is not None:
        what = _read(queue, inner)
        body = inner if what else body
    system = message.get("Attributes", {})
    return Letter(
        queue=queue,
        id=message["MessageId"],
        what=what,
        body=body,
        attributes=message.get("MessageAttributes", {}),
        sent_at=int(system.get("SentTimestamp", 0)) / 1000,
        received=int(system.get("ApproximateReceiveCount", 0)),
    )


def _read(queue: str, body: str) -> What | None:
    """Read a body as the worker of its queue does; None where that never can."""
    try:
        if queue == "inbox":
            return _dropped(body)
        if queue == "archive":
            order = read_order(body)
            return What(_type(body) or "order", order.account, order.batch_id)
        event = read_event(body)
    except (BadMessageError, ValidationError):
        return None
    return What(event.type, event.data.account, event.subject)


def _dropped(body: str) -> What:
    message = read_message(body)
    if isinstance(message, WorkOrder):
        return What("order", about=message.job)
    detail = message.detail
    return What("dropped", about=f"s3://{detail.bucket.name}/{detail.object.key}")


def _type(body: str) -> str:
    """The type of an event that is taken as an order."""
    return str(json.loads(body).get("type", ""))


def _out_of_envelope(body: str) -> str | None:
    """Return what SNS has put into an envelope of its own; None where it has not."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    inner = said.get("Message") if isinstance(said, dict) else None
    return inner if isinstance(inner, str) else None
