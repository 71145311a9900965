"""Whether the files of a batch are where and what they must be (I4 and I5); part of the checker."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.judge.history import Event

FINAL = ("archived", "gone", "failed")
LOST = ("batch.file_gone", "batch.file_failed")
_NAMES = {
    "output": "output.jsonl",
    "error": "error.jsonl",
    "record": "batch.json",
    "input": "input.jsonl",
}
_ROLES = {name: role for role, name in _NAMES.items()}
_TOLD = ("state", "s3_uri", "bytes", "lines", "crc32", "reason")
_KEY = re.compile(r"batches/account=([^/]+)/created=([^/]+)/([^/]+)/([^/]+)")


@dataclass(frozen=True)
class Truth:
    """What OpenAI itself has of a batch.

    batch  the object as OpenAI shows it at the end
    files  "output", "error", and "input" where it is to be kept: content, for the ids it has
    lost   roles that cannot be had whole, and so must end as gone or failed
    """

    batch: Mapping[str, Any]
    files: Mapping[str, bytes]
    lost: frozenset[str] = frozenset()

    @property
    def roles(self) -> frozenset[str]:
        """Files that must come to an end."""
        return frozenset({"record", *self.files}) | self.lost


class Case(NamedTuple):
    """All there is of one batch."""

    batch_id: str
    truth: Truth
    item: Mapping[str, Any]
    events: Sequence[Event]


def object_faults(
    key: str,
    versions: Sequence[bytes],
    truths: Mapping[str, Truth],
    items: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    """What is wrong with an object that is no kept event."""
    found = _KEY.fullmatch(key)
    account, day, batch_id, name = found.groups() if found else ("", "", "", "")
    truth = truths.get(batch_id)
    if truth is None or name not in _ROLES:
        yield f"I4 {key}: it belongs to no batch"
        return
    if account != items.get(batch_id, {}).get("account") or day != _day(truth):
        yield f"I4 {key}: filed under another account or day than its batch"
    role = _ROLES[name]
    if role in truth.lost or role not in truth.roles:
        yield f"I5 {key}: an object of a file that cannot be had"
    elif not all(_whole(role, version, batch_id, truth) for version in versions):
        yield f"I4 {key}: not what OpenAI has"


def _day(truth: Truth) -> str:
    created = truth.batch.get("created_at")
    return "unknown" if created is None else f"{datetime.fromtimestamp(created, tz=UTC):%Y-%m-%d}"


def _whole(role: str, content: bytes, batch_id: str, truth: Truth) -> bool:
    if role != "record":
        return content == truth.files[role]
    try:
        said = json.loads(content)
        return (said["id"], said["status"]) == (batch_id, truth.batch["status"])
    except (ValueError, KeyError, TypeError):
        return False


def file_faults(
    case: Case, objects: Mapping[str, Sequence[bytes]], bucket: str | None
) -> Iterator[str]:
    """What is wrong with the end of each file, by batch.archived, by the item, by the bucket."""
    noted = case.item.get("files") or {}
    told = next((e.files for e in case.events if e.type == "batch.archived"), noted)
    if any(e.type in LOST and len(e.files) != 1 for e in case.events):
        yield "a file was lost, but it is not said which"
    for role in sorted({*case.truth.roles, *noted, *told}):
        ours, theirs = noted.get(role, {}), told.get(role, {})
        if role not in case.truth.roles:
            yield f"there is word of {role}, which OpenAI does not have"
        elif odd := [name for name in _TOLD if ours.get(name) != theirs.get(name)]:
            yield f"item and batch.archived have other {', '.join(odd)} of {role}"
        elif role in case.truth.lost:
            yield from _lost_faults(role, theirs, case)
        else:
            yield from _archived_faults(role, theirs, case, objects, bucket)


def _lost_faults(role: str, told: Mapping[str, Any], case: Case) -> Iterator[str]:
    state = told.get("state")
    if state not in {"gone", "failed"} or not told.get("reason"):
        yield f"{role} cannot be had, but is {state} for {told.get('reason')!r}"
    types = [event.type for event in case.events if _is_of(role, event)]
    if types != [f"batch.file_{state}"]:
        yield f"{role} is {state}, announced as {types}"
    if any(event.files[role] != told for event in case.events if _is_of(role, event)):
        yield f"{role} was announced otherwise than in batch.archived"


def _archived_faults(
    role: str,
    told: Mapping[str, Any],
    case: Case,
    objects: Mapping[str, Sequence[bytes]],
    bucket: str | None,
) -> Iterator[str]:
    if told.get("state") != "archived" or any(_is_of(role, event) for event in case.events):
        yield f"{role} can be had, but is {told.get('state')}, or was announced as lost"
    account = case.item.get("account")
    folder = f"batches/account={account}/created={_day(case.truth)}/{case.batch_id}"
    key = f"{folder}/{_NAMES[role]}"
    if not objects.get(key):
        yield f"{role} is not in the bucket"
        return
    content = objects[key][0]
    uri = re.fullmatch(r"s3://([^/]+)/(.*)", str(told.get("s3_uri")))
    if not uri or uri[2] != key or bucket not in {None, uri[1]}:
        yield f"{role} is said to be at {told.get('s3_uri')}"
    true = {
        "bytes": len(content),
        "lines": content.count(b"\n"),
        "crc32": f"{zlib.crc32(content):08x}",
    }
    for name, value in true.items():
        if told.get(name) != value:
            yield f"{role} has {value} as its {name}, said to be {told.get(name)}"
    file_id = case.truth.batch.get(f"{role}_file_id")
    noted = (case.item.get("files") or {}).get(role, {})
    if (noted.get("file_id") or None) != (file_id or None):
        yield f"{role} was not read from {file_id}"


def _is_of(role: str, event: Event) -> bool:
    return event.type in LOST and role in event.files
