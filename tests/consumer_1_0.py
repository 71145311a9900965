"""A program of a user, written in the days of version 1.0 of the schemas, by them alone.

It imports nothing of batchwatch, and raises on anything that version 1.0 promises and that is not
there. It is never changed: it stands for all the programs out there which nobody can change. If it
fails, so do they, and what broke it needs version 2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

STATUSES = {
    "batch.validating": "validating",
    "batch.in_progress": "in_progress",
    "batch.finalizing": "finalizing",
    "batch.cancelling": "cancelling",
    "batch.completed": "completed",
    "batch.failed": "failed",
    "batch.expired": "expired",
    "batch.cancelled": "cancelled",
    "batch.unknown": "unknown",
}


class BrokenPromiseError(Exception):
    """What the schema promises is not there."""


@dataclass
class File:
    """One file of a batch."""

    state: str
    s3_uri: str | None
    bytes: int | None
    lines: int | None
    crc32: str | None
    reason: str | None
    location: str | None


@dataclass
class Stalled:
    """Why a batch seems to stand still."""

    reason: str
    seconds: int
    usual: str


@dataclass
class Event:
    """One event of one batch."""

    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    account: str
    status: str
    previous_status: str | None
    sequence: int
    observed_at: datetime
    observed_by: str
    batch: dict[str, Any]
    files: dict[str, File]
    stalled: Stalled | None
    reduced: bool


def read(text: str) -> Event:
    """Read an event; raise BrokenPromiseError or ValueError where it is not as promised."""
    said = json.loads(text)
    for name, fixed in (
        ("specversion", "1.0"),
        ("datacontenttype", "application/json"),
        ("dataschema", "urn:batchwatch:schema:batch-event:1"),
    ):
        _promised(_text(said, name) == fixed, name)
    data = said["data"]
    event = Event(
        id=UUID(_text(said, "id")),
        source=_text(said, "source"),
        type=_text(said, "type"),
        subject=_text(said, "subject"),
        time=_moment(said, "time"),
        account=_text(data, "account"),
        status=_text(data, "status"),
        previous_status=_maybe(data, "previous_status", str),
        sequence=_number(data, "sequence"),
        observed_at=_moment(data, "observed_at"),
        observed_by=_text(data, "observed_by"),
        batch=_batch(data["batch"]),
        files={role: _file(file) for role, file in data.get("files", {}).items()},
        stalled=_stalled(data["stalled"]) if "stalled" in data else None,
        reduced=data.get("reduced", False),
    )
    _promised(isinstance(event.reduced, bool), "reduced")
    _by_type(event)
    return event


def _by_type(event: Event) -> None:
    """Check what an event of its type has beyond all others; an unheard type has nothing."""
    _promised(event.status == STATUSES.get(event.type, event.status), "status")
    match event.type:
        case "batch.archived":
            _promised("record" in event.files, "files")
        case "batch.file_gone" | "batch.file_failed":
            states = [f"batch.file_{file.state}" for file in event.files.values()]
            _promised(states == [event.type], "files")
        case "batch.stalled":
            _promised(event.stalled is not None, "stalled")


def _batch(said: Any) -> dict[str, Any]:
    _promised(isinstance(said, dict) and "status" in said, "batch.status")
    _text(said, "id")
    return dict(said)


def _file(said: Any) -> File:
    file = File(
        state=_text(said, "state"),
        s3_uri=_maybe(said, "s3_uri", str),
        bytes=_maybe(said, "bytes", int),
        lines=_maybe(said, "lines", int),
        crc32=_maybe(said, "crc32", str),
        reason=_maybe(said, "reason", str),
        location=_text(said, "location") if "location" in said else None,
    )
    if file.state == "archived":
        _promised(None not in (file.s3_uri, file.bytes, file.lines), "archived")
        _promised(len(bytes.fromhex(file.crc32 or "")) == 4, "crc32")
        _promised((file.s3_uri or "").startswith("s3://"), "s3_uri")
    elif file.state in {"gone", "failed"}:
        _promised(file.reason is not None, "reason")
    else:
        _promised(file.state == "elsewhere", "state")
    return file


def _stalled(said: Any) -> Stalled:
    return Stalled(_text(said, "reason"), _number(said, "seconds"), _text(said, "usual"))


def _moment(said: Any, name: str) -> datetime:
    text = _text(said, name)
    _promised(text.endswith("Z"), name)
    return datetime.fromisoformat(text)


def _number(said: Any, name: str) -> int:
    number = _maybe(said, name, int)
    _promised(number is not None, name)
    return int(number)


def _text(said: Any, name: str) -> str:
    text = _maybe(said, name, str)
    _promised(text is not None, name)
    return str(text)


def _maybe(said: Any, name: str, kind: type) -> Any:
    _promised(isinstance(said, dict) and name in said, name)
    value = said[name]
    _promised(value is None or (isinstance(value, kind) and not isinstance(value, bool)), name)
    return value


def _promised(kept: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise BrokenPromiseError(what)
