"""A job: a file that was dropped, and its parts on their way. Pure: what is known of both."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from typing import Self

from batchwatch.batch import Role  # noqa: TC001 - pydantic reads the annotations
from batchwatch.reading import Growing
from batchwatch.record import File, Kept, Lease
from batchwatch.submit.options import Options
from batchwatch.submit.unrun import Why  # noqa: TC001 - pydantic reads the annotations

_JOB_ID = re.compile(r"job_[0-9a-f]{24}")


class PartState(Growing):
    """The life of a part: planned → uploaded → sending → live → ended; or never sent.

    PLANNED   its requests lie in the bucket
    UPLOADED  and in a file at OpenAI
    SENDING   a batch is being made of them; or was, and nobody noted it
    LIVE      it has its batch
    ENDED     and that has ended, with all its files
    DROPPED   never sent: the job was cancelled
    REFUSED   never sent: OpenAI would not have it
    """

    PLANNED = "planned"
    UPLOADED = "uploaded"
    SENDING = "sending"
    LIVE = "live"
    ENDED = "ended"
    DROPPED = "dropped"
    REFUSED = "refused"


UNSENT = frozenset({PartState.PLANNED, PartState.UPLOADED})
FINAL = frozenset({PartState.ENDED, PartState.DROPPED, PartState.REFUSED})


class Held(Kept):
    """Why a part waits, and until when at most (seconds since 1970) before it is tried again.

    `tries`: how often it was refused for that. `live`: how many batches of ours the line had then;
    with fewer, there may be room.
    """

    why: Why
    until: float
    tries: int = 1
    live: int = 0


class Piece(Kept):
    """A file of a part's batch, as it was archived."""

    key: str
    size: int


class Part(Kept):
    """Some requests of a job, of one model and endpoint: one batch.

    key, size   where its requests lie in the bucket, in bytes
    uploaded_at, sent_at  seconds since 1970
    round       which batch of it this is; one that was refused unrun is followed by another
    sender      who is sending it
    begun       whether its batch has passed validation
    asked_to_cancel  whether OpenAI was asked to cancel its batch
    held        why it was refused; forgotten once a batch of it has begun
    pieces      what its batch has left
    """

    number: int
    endpoint: str
    model: str
    requests: int
    key: str
    size: int
    state: PartState = PartState.PLANNED
    file_id: str | None = None
    uploaded_at: float | None = None
    round: int = 1
    sender: str | None = None
    sent_at: float | None = None
    batch_id: str | None = None
    begun: bool = False
    asked_to_cancel: bool = False
    held: Held | None = None
    status: str | None = None
    completed: int | None = None
    failed: int | None = None
    pieces: Mapping[Role, Piece] = {}
    reason: str | None = None

    @property
    def line(self) -> str:
        """Parts of one line are limited together: those of a model."""
        return self.model

    def but(self, **changes: object) -> Self:
        """Return the part with some things changed."""
        return self.model_copy(update=changes)


class Stage(Growing):
    """How far a job is: its file is read, its parts are sent, their results merged."""

    READING = "reading"
    SENDING = "sending"
    MERGING = "merging"
    DONE = "done"


class Outcome(Growing):
    """How a job ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Job(Kept):
    """What is known of a job; kept as one item, with its outbox.

    v, seq       count its writes, and its events
    key, version which object it is made of; no version where the bucket keeps none
    arrived      when the object was, in seconds since 1970: the place in line
    lease        who works on it, beside the tick
    cancelled    whether somebody wants it cancelled
    waiting      what was last told of its waiting, and since when
    submitted    whether it was told to be
    merged       the merged files, on their way
    """

    job_id: str
    v: int = 0
    seq: int = 0
    key: str
    version: str | None = None
    size: int = 0
    arrived: float
    account: str = "unknown"
    options: Options = Options()
    stage: Stage = Stage.READING
    outcome: Outcome | None = None
    reason: str | None = None
    cancelled: bool = False
    rejected: int = 0
    report: str | None = None
    parts: tuple[Part, ...] = ()
    waiting: Why | None = None
    waiting_since: float | None = None
    submitted: bool = False
    merged: Mapping[Role, File] = {}
    lease: Lease | None = None
    outbox: Mapping[int, str] = {}
    open: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.stage is Stage.DONE and not self.outbox

    @property
    def requests(self) -> int:
        """How many requests were taken."""
        return sum(part.requests for part in self.parts)

    @property
    def place(self) -> tuple[float, str]:
        """Place in line."""
        return self.arrived, self.job_id

    def part(self, number: int) -> Part:
        """Return a part by its number, from 1."""
        return self.parts[number - 1]

    def mark(self, part: Part) -> str:
        """By which the batch of a part is known; another one in each round."""
        return f"{self.job_id}/{part.number:04d}/{part.round}"

    def but(self, **changes: object) -> Self:
        """Return the job with some things changed."""
        return self.model_copy(update=changes)

    def with_part(self, part: Part) -> Self:
        """Return the job with another part in the place of that number."""
        parts = (*self.parts[: part.number - 1], part, *self.parts[part.number :])
        return self.but(parts=parts)

    def instead(self, part: Part, other: Part) -> Self | None:
        """Put a part in the place of what it was; None if that is something else by now."""
        return self.with_part(other) if self.part(part.number) == part else None

    def leased(self, now: float) -> bool:
        """Whether somebody works on it."""
        return self.lease is not None and self.lease.until > now


def job_id_of(bucket: str, key: str, version: str) -> str:
    """Name the job of an object: the same version is the same job, however often it is told of."""
    told = json.dumps([bucket, key, version])
    return "job_" + hashlib.sha256(told.encode()).hexdigest()[:24]


def is_job_id(text: str) -> bool:
    """Whether a text is of the form of such a name."""
    return _JOB_ID.fullmatch(text) is not None
