"""What is announced: CloudEvents 1.0 in JSON, the public face of this package.

An event is made once, frozen as text, and from then on only ever repeated. `id` is derived from
what the event says, so that whoever sees a change first gives it the same name.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from batchwatch.batch import TERMINAL, Batch, Role, Status

SCHEMA = "urn:batchwatch:schema:batch-event:1"
ENDS = frozenset(f"batch.{status}" for status in TERMINAL)
"""Types of the events that tell of the end of a batch."""
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:batchwatch")
_LONGEST_SUBJECT = 99  # SNS: under 100 ASCII characters
_LONGEST_ATTRIBUTE = 256


class Part(BaseModel):
    """Something an event is made of; further fields are kept."""

    # Errors never repeat what a batch holds: they are logged.
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class ArchivedFile(Part):
    """How a file of a batch ended. `crc32`: eight hex digits over the whole; `lines`: newlines.

    `location`: where a file is that is `elsewhere`, in storage of the customer's own; providers
    may name a place where they put nothing.
    """

    state: Literal["archived", "gone", "failed", "elsewhere"]
    s3_uri: str | None = None
    bytes: int | None = None
    lines: int | None = None
    crc32: str | None = None
    reason: str | None = None
    location: str | None = None

    @model_serializer(mode="wrap")
    def _without_no_location(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said: dict[str, Any] = dump(self)
        if said.get("location") is None:
            said.pop("location", None)
        return said


class Stalled(Part):
    """Why a batch seems to stand still, for how many whole seconds, and what is usual."""

    reason: str
    seconds: int
    usual: str


class BatchEventData(Part):
    """What happened to a batch; `batch` is the object as OpenAI showed it.

    `files` are by the name of a role: one of `Role`, or one of a later version. `reduced`: all
    but its id and status is left out, as SNS refused the whole. `attempt`: which attempt to archive
    the files it is of, 1 where it is not said.
    """

    account: str
    status: str
    previous_status: str | None
    sequence: int
    observed_at: datetime
    observed_by: str
    batch: Batch
    files: dict[str, ArchivedFile] | None = None
    stalled: Stalled | None = None
    attempt: int = 1
    reduced: bool = False


class Envelope(Part):
    """What CloudEvents wants of every event; `subject` is the id of what it is about."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"


class BatchEvent(Envelope):
    """One event of one batch; `subject` is the id of the batch, `time` is OpenAI's own."""

    dataschema: str = SCHEMA
    data: BatchEventData

    def frozen(self) -> str:
        """Return the one text of this event; what says nothing is left out."""
        left_out = {"files"} if self.data.files is None else set()
        left_out |= {"stalled"} if self.data.stalled is None else set()
        left_out |= {"attempt"} if self.data.attempt == 1 else set()
        left_out |= set() if self.data.reduced else {"reduced"}
        return self.model_dump_json(exclude={"data": left_out})

    def reduced(self) -> Self:
        """Return this event with no more of the batch than id and status, under another name."""
        said = {"id": self.subject, "status": self.data.batch.status.value}
        data = self.data.model_copy(update={"batch": Batch.read(said), "reduced": True})
        name = str(uuid.uuid5(uuid.UUID(self.id), "reduced"))
        return self.model_copy(update={"id": name, "data": data})

    @property
    def attributes(self) -> dict[str, str]:
        """What filter policies may ask for; a field that says nothing has no attribute."""
        batch = self.data.batch
        said = {
            "type": self.type,
            "status": self.data.status,
            "account": self.data.account,
            "endpoint": batch.endpoint,
            "model": batch.model,
            "outcome": outcome(batch),
        }
        return told_attributes(said)

    @property
    def headline(self) -> str:
        """One line for people: `completed 980/1000 batch_… (default)`."""
        counts = self.data.batch.counts
        done = f" {counts.completed or 0}/{counts.total}" if counts else ""
        what = self.type.removeprefix("batch.")
        return headline_of(f"{what}{done} {self.subject} ({self.data.account})")


def event_id(account: str, batch_id: str, kind: str, apart: str = "") -> str:
    """Return the name of an event; `apart` tells apart events of one kind of one batch."""
    return str(uuid.uuid5(_NAMESPACE, f"{account}/{batch_id}/{kind}/{apart}"))


def outcome(batch: Batch) -> str | None:
    """How much of a terminal batch succeeded: all, some, none; None while or where unknown."""
    if not batch.status.terminal:
        return None
    if batch.counts and batch.counts.completed is not None:
        if batch.counts.completed == batch.counts.total:
            return "all"
        return "some" if batch.counts.completed else "none"
    never_ran = batch.status is Status.FAILED or (
        batch.status is Status.CANCELLED and batch.in_progress_at is None
    )
    return "none" if never_ran else None


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a date of whole milliseconds in UTC."""
    return datetime.fromtimestamp(round(seconds, 3), tz=UTC)


def make_event(  # noqa: PLR0913 - an event is all of these
    kind: str,
    batch: Batch,
    *,
    source: str,
    account: str,
    status: str,
    previous_status: str | None,
    sequence: int,
    now: float,
    by: str,
    apart: str = "",
    files: Mapping[Role, ArchivedFile] | None = None,
    stalled: Stalled | None = None,
    attempt: int = 1,
) -> BatchEvent:
    """Put an event together. Its time is OpenAI's where it tells of a status."""
    told = batch.status_at if kind == f"batch.{batch.status}" else None
    return BatchEvent(
        id=event_id(account, batch.id, kind, apart),
        source=source,
        type=kind,
        subject=batch.id,
        time=moment(told if told is not None else now),
        data=BatchEventData(
            account=account,
            status=status,
            previous_status=previous_status,
            sequence=sequence,
            observed_at=moment(now),
            observed_by=by,
            batch=batch,
            files={str(r): f for r, f in files.items()} if files is not None else None,
            stalled=stalled,
            attempt=attempt,
        ),
    )


def told_attributes(said: Mapping[str, str | None]) -> dict[str, str]:
    """Make message attributes as SNS takes them; it refuses empty ones."""
    return {name: _printable(text)[:_LONGEST_ATTRIBUTE] for name, text in said.items() if text}


def headline_of(line: str) -> str:
    """Make a subject as SNS takes it."""
    return _printable(line)[:_LONGEST_SUBJECT]


def _printable(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
