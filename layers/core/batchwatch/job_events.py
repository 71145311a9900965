"""What is announced of jobs, and any event at all: CloudEvents 1.0 in JSON, as in events.py."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Self, TypeAlias

from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter

from batchwatch.events import (
    ArchivedFile,
    BatchEvent,
    Envelope,
    Part,
    headline_of,
    told_attributes,
)

SCHEMA = "urn:batchwatch:schema:job-event:1"
_LONGEST_REDUCED = 1100  # characters; no address in S3 has more


class JobPart(Part):
    """A part of a job: what became of some of its requests, as one batch.

    state      waiting, submitted, ended; or never sent: cancelled, refused
    status     how its batch ended, `lost` if OpenAI knows it no more
    requests   how many; of them `completed` and `failed`, once it has ended
    reason     why it waits, was refused or came to nothing
    """

    number: int
    state: str
    endpoint: str
    model: str
    requests: int
    batch_id: str | None = None
    status: str | None = None
    completed: int | None = None
    failed: int | None = None
    reason: str | None = None


class Waiting(Part):
    """Why parts of a job have not been sent yet, since when, and how many."""

    reason: str
    since: datetime
    parts: int


class JobTotals(Part):
    """What became of the requests of a job; `unfinished` were never answered, or never sent."""

    requests: int
    completed: int
    failed: int
    unfinished: int


class JobEventData(Part):
    """What happened to a job: a file that was dropped, sent as one batch or several.

    status     that of the job: submitted, waiting, completed, cancelled, refused
    object     the address of the file, s3://…
    requests   lines that were taken; `rejected` ones were not, and `report` tells why
    files      the answers of all parts, merged, once the job has ended
    reason     why it was refused
    reduced    parts and report are left out, and odd characters, as SNS refused the whole
    """

    account: str
    status: str
    sequence: int
    observed_at: datetime
    object: str
    version: str | None = None
    requests: int = 0
    rejected: int = 0
    report: str | None = None
    parts: tuple[JobPart, ...] = ()
    waiting: Waiting | None = None
    totals: JobTotals | None = None
    files: dict[str, ArchivedFile] | None = None
    reason: str | None = None
    reduced: bool = False


class JobEvent(Envelope):
    """One event of one job; `subject` is the id of the job."""

    dataschema: str = SCHEMA
    data: JobEventData

    def frozen(self) -> str:
        """Return the one text of this event; what says nothing is left out."""
        maybe = ("waiting", "totals", "files", "reason", "report")
        left_out = {name for name in maybe if getattr(self.data, name) is None}
        left_out |= set() if self.data.reduced else {"reduced"}
        return self.model_dump_json(exclude={"data": left_out})

    def reduced(self) -> Self:
        """Return what SNS takes for sure, under another name.

        It keeps what a job of its type promises; what others have named is short and printable.
        """
        data = self.data
        less: dict[str, Any] = {
            "object": _harmless(data.object),
            "parts": (),
            "report": None,
            "reason": None if data.reason is None else _harmless(data.reason),
            "reduced": True,
        }
        name = str(uuid.uuid5(uuid.UUID(self.id), "reduced"))
        return self.model_copy(update={"id": name, "data": data.model_copy(update=less)})

    @property
    def attributes(self) -> dict[str, str]:
        """What filter policies may ask for."""
        said: dict[str, str | None] = {
            "type": self.type,
            "status": self.data.status,
            "account": self.data.account,
            "outcome": self.outcome,
        }
        for name in ("endpoint", "model"):  # of a job with several, neither
            values = {getattr(part, name) for part in self.data.parts}
            said[name] = values.pop() if len(values) == 1 else None
        return told_attributes(said)

    @property
    def outcome(self) -> str | None:
        """How much of a job that has ended succeeded: all, some, none.

        Lines set aside did not, nor is all there where a merged file is not.
        """
        totals = self.data.totals
        if totals is None:
            return None
        files = (self.data.files or {}).values()
        unmerged = any(file.state != "archived" for file in files)
        lacking = unmerged or self.data.rejected or any(part.reason for part in self.data.parts)
        if 0 < totals.completed == totals.requests and not lacking:
            return "all"
        return "some" if totals.completed else "none"

    @property
    def headline(self) -> str:
        """One line for people: `job completed 980/1000 nightly.jsonl (default)`."""
        totals = self.data.totals
        done = f" {totals.completed}/{totals.requests}" if totals else ""
        name = self.data.object.rpartition("/")[2]
        return headline_of(f"job {self.data.status}{done} {name} ({self.data.account})")


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST_REDUCED]


def _kind(said: Any) -> str:
    kind = said.get("type") if isinstance(said, dict) else getattr(said, "type", None)
    return "job" if str(kind).startswith("job.") else "batch"


Event: TypeAlias = BatchEvent | JobEvent
AnyEvent: TypeAdapter[Event] = TypeAdapter(
    Annotated[
        Annotated[BatchEvent, Tag("batch")] | Annotated[JobEvent, Tag("job")], Discriminator(_kind)
    ],
    config=ConfigDict(hide_input_in_errors=True),  # a union does not take it from its members
)
"""Any event on the topic, told apart by `type`; a Powertools envelope takes it as a model."""


def read_event(text: str | bytes) -> Event:
    """Read an event of either kind; pydantic's ValidationError where it is none."""
    return AnyEvent.validate_json(text)
