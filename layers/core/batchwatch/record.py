"""What the ledger holds of a batch and its files, and what one write may change of it."""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict

from batchwatch.batch import Batch, Role, Status
from batchwatch.crc32 import combined
from batchwatch.events import BatchEvent
from batchwatch.reading import Growing


class FileState(Growing):
    """The life of a file: awaited → pending → copying → archived, gone or failed.

    `elsewhere`: the provider keeps it in storage of the customer's own; reported, not fetched.
    """

    AWAITED = "awaited"
    PENDING = "pending"
    COPYING = "copying"
    ARCHIVED = "archived"
    GONE = "gone"
    FAILED = "failed"
    ELSEWHERE = "elsewhere"

    @property
    def final(self) -> bool:
        """True when nothing more will be done for the file."""
        return self in FINAL

    @property
    def wanted(self) -> bool:
        """True when it is to be fetched. Of a state that is not known, nothing is true."""
        return self in {FileState.PENDING, FileState.COPYING}


FINAL = frozenset({FileState.ARCHIVED, FileState.GONE, FileState.FAILED, FileState.ELSEWHERE})


QUEUE = "queue"
"""Holder of a lease that anybody may take over: an order waits in the archive queue."""


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Kept(_Known):
    """What is written back whole: it keeps what a later version has put there."""

    model_config = ConfigDict(extra="allow")


class Lease(Kept):
    """Who works on a file, and until when (seconds since 1970) others leave it alone.

    `parts`: how many of its copy had been noted when the work began.
    """

    owner: str
    until: float
    parts: int = 0


class Tally(Kept):
    """Size in bytes, lines and CRC32 of a stream so far."""

    size: int = 0
    lines: int = 0
    crc32: int = 0

    def add(self, piece: bytes) -> Self:
        """Count a piece in."""
        return self.model_copy(
            update={
                "size": self.size + len(piece),
                "lines": self.lines + piece.count(b"\n"),
                "crc32": zlib.crc32(piece, self.crc32),
            }
        )

    def __add__(self, rest: Self) -> Self:
        """Count in what follows, which has been counted apart."""
        return self.model_copy(
            update={
                "size": self.size + rest.size,
                "lines": self.lines + rest.lines,
                "crc32": combined(self.crc32, rest.crc32, rest.size),
            }
        )


class Upload(Kept):
    """A multipart upload under way, as far as it was noted; S3 may have more of it.

    `size` in bytes and `etag` are those of the file at OpenAI, None where not told. `parts` and
    `done`: what can be built on.
    """

    id: str
    size: int | None = None
    etag: str | None = None
    parts: int = 0
    done: Tally = Tally()


class File(Kept):
    """What we know of one file of a batch.

    `upload`: a copy under way. `tries`: how often it came out wrong. `missing_since`: the first 404
    of those that have come in a row. `ask_at` and `give_up_at`, in
    seconds since 1970: when an awaited id is asked for next, and for how long. `location`: where
    a file is that is elsewhere.
    """

    state: FileState
    file_id: str | None = None
    tries: int = 0
    lease: Lease | None = None
    upload: Upload | None = None
    missing_since: float | None = None
    ask_at: float | None = None
    give_up_at: float | None = None
    location: str | None = None
    s3_uri: str | None = None
    bytes: int | None = None
    lines: int | None = None
    crc32: str | None = None
    reason: str | None = None

    @property
    def parts(self) -> int:
        """How many parts of its copy are noted."""
        return self.upload.parts if self.upload else 0

    @property
    def died(self) -> bool:
        """Whether a lease that is over is that of a worker which came no further."""
        return self.lease is not None and self.by_worker and self.parts <= self.lease.parts

    @property
    def by_worker(self) -> bool:
        """Whether a worker holds the lease, not the queue; one that is over tells of its death."""
        return self.lease is not None and self.lease.owner != QUEUE

    def leased(self, now: float) -> bool:
        """Whether somebody has it."""
        return self.lease is not None and self.lease.until > now


class Record(_Known):
    """What the ledger holds of one batch.

    v              counts the writes that decided something; 0: registered, but never seen
    seq            sequence of the last event
    status         where the batch is by what was announced; never goes back
    last_status    status of the last event, `unknown` included
    batch          the object as last seen, which may be ahead of what was announced
    created_at     when it was made, by OpenAI
    digest         fingerprint of status and file ids, as last seen
    progress       steps that its requests have come
    moved_at       when the digest was last seen to change
    progressed_at  when status, file ids or counts were last seen, and written, as changed
    unknown        statuses announced that this version does not know
    stalled        statuses, as OpenAI spells them, in which a stall was announced
    missing_since  the first of the times that OpenAI did not know the batch
    misses         how many of these times count
    lost_at        when it was announced as lost
    losses         how often it was
    abandoned      whether it was taken out of the index as lost
    quiet          whether nothing is told of it: it had ended before the watch began
    tracked        whether it was registered by hand
    outbox         events by sequence, frozen, not yet published
    files          what becomes of each file, once the batch has ended
    attempt        which attempt to archive them this is; another is asked for by hand
    open           whether it is in the index of batches with work left

    Times are seconds since 1970.
    """

    account: str
    batch_id: str
    v: int = 0
    seq: int = 0
    status: Status | None = None
    last_status: str | None = None
    batch: Batch | None = None
    created_at: int | None = None
    digest: str | None = None
    progress: int = 0
    moved_at: float = 0
    progressed_at: float = 0
    unknown: frozenset[str] = frozenset()
    stalled: frozenset[str] = frozenset()
    missing_since: float | None = None
    misses: int = 0
    lost_at: float | None = None
    losses: int = 0
    abandoned: bool = False
    quiet: bool = False
    tracked: bool = False
    outbox: Mapping[int, str] = {}
    files: Mapping[Role, File] = {}
    attempt: int = 1
    open: bool = False

    @property
    def terminal(self) -> bool:
        """Whether the end of the batch has been announced."""
        return self.status is not None and self.status.terminal

    @property
    def lost(self) -> bool:
        """Whether OpenAI was announced to know the batch no more, and has not shown it since."""
        return self.lost_at is not None

    @property
    def archived(self) -> bool:
        """Whether every file has found its end."""
        return Role.RECORD in self.files and all(f.state.final for f in self.files.values())

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do, so that the batch may leave the open index."""
        return self.terminal and self.archived and not self.outbox


ABSENCE = ("missing_since", "misses", "lost_at", "abandoned")
"""What is noted of a batch that OpenAI does not know."""


class Change(_Known):
    """All that one conditional write puts into the ledger. None: stays as it is.

    `files`: None takes a file out. `found`: OpenAI knows the batch, so that all that was noted of
    its absence (`ABSENCE`) is taken out. `attempt`: files are to be archived anew, so that the
    batch is open again.
    """

    batch: Batch | None = None
    status: Status | None = None
    digest: str | None = None
    progress: int | None = None
    moved_at: float | None = None
    progressed_at: float | None = None
    unknown: frozenset[str] | None = None
    stalled: frozenset[str] | None = None
    missing_since: float | None = None
    misses: int | None = None
    lost_at: float | None = None
    losses: int | None = None
    quiet: bool | None = None
    attempt: int | None = None
    found: bool = False
    files: Mapping[Role, File | None] = {}
    events: tuple[BatchEvent, ...] = ()


def ended(file: File, state: FileState, **how: object) -> File:
    """Return a file at its end; nobody holds it and nothing of it is awaited any more."""
    nothing = dict.fromkeys(("lease", "upload", "missing_since", "ask_at", "give_up_at", "reason"))
    return file.model_copy(update={**nothing, "state": state, **how})


def digest(batch: Batch) -> str:
    """Fingerprint of all that makes a transition: not counts, not usage."""
    files = [batch.file_id(role) or batch.blob(role) for role in (Role.OUTPUT, Role.ERROR)]
    # Not the spelling of a status: some gateways spell it otherwise in their list.
    parts = (batch.named_status, *files)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def progress(batch: Batch, steps: int) -> int:
    """How many of `steps` equal steps the requests have come."""
    done = batch.counts.done * steps // (batch.counts.total or 1) if batch.counts else 0
    return min(done, steps)  # some counts lie
