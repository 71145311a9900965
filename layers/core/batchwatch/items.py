"""Items of the table, read and spelled: what DynamoDB holds against what we mean.

The batch is kept as JSON text, numbers as whole numbers, events as the text that is sent.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pydantic import ValidationError

from batchwatch.batch import Batch, safe_id
from batchwatch.errors import LedgerRowError, UnsafeIdError
from batchwatch.record import ABSENCE, Change, File, Record

to_dynamodb = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize
_TIMES = ("moved_at", "progressed_at", "missing_since", "lost_at")


class Row(NamedTuple):
    """What the index `open` shows of a batch, as of some moments ago.

    `known` is a part only: no sequence, no batch object, no files. Decide on the item itself.
    """

    known: Record
    trouble: LedgerRowError | None = None


def from_dynamodb(value: Any) -> Any:
    """Read an attribute; texts and numbers at once, as polls read thousands of rows."""
    if "S" in value:
        return value["S"]
    return Decimal(value["N"]) if "N" in value else _deserialize(value)


def key_of(account: str, batch_id: str) -> dict[str, Any]:
    """Return the key of a batch's item."""
    return {"account": to_dynamodb(account), "batch_id": to_dynamodb(batch_id)}


class Spelling(NamedTuple):
    """What an update sets, by path; what it removes; and what its names and values stand for."""

    sets: dict[str, str]
    removes: list[str]
    names: dict[str, str]
    values: dict[str, Any]


def spelled(known: Record, change: Change) -> Spelling:
    """Spell a change. The first write sets whole maps, later ones set and remove in them.

    A batch that was lost is in the index again with whatever is written of it; one that had been
    archived, with a further attempt.
    """
    seq = known.seq + len(change.events)
    opens = not known.v or known.lost or known.abandoned or change.attempt is not None
    plain: dict[str, Any] = {
        "open": known.account if opens else None,
        "v": known.v + 1,
        "seq": seq,
        "last_status": change.events[-1].data.status if change.events else None,
        "status": change.status,
        "batch": change.batch and _text(change.batch),
        "created_at": change.batch and change.batch.created_at,
        "digest": change.digest,
        "progress": change.progress,
        "unknown": None if change.unknown is None else set(change.unknown),
        "stalled": None if change.stalled is None else set(change.stalled),
        "misses": change.misses,
        "losses": change.losses,
        "quiet": change.quiet,
        "attempt": change.attempt,
        **{name: _whole(getattr(change, name)) for name in _TIMES},
    }
    sets = {f"#{name}": f":{name}" for name, value in plain.items() if value is not None}
    names = {path: path[1:] for path in sets}
    values = {f":{name}": to_dynamodb(plain[name]) for name in names.values()}
    if known.v:
        values[":was"] = to_dynamodb(known.v)
    removes = [f"#{name}" for name in ABSENCE] if change.found else []
    names |= {path: path[1:] for path in removes}
    events = {str(e.data.sequence): e.frozen() for e in change.events}
    files = {role.value: _file(file) for role, file in change.files.items() if file}
    for field, entries in (("outbox", events), ("files", files)):
        if not known.v:
            sets[field], values[f":{field}"] = f":{field}", to_dynamodb(entries)
            continue
        for number, (key, value) in enumerate(entries.items()):
            mark = f"{field}{number}"
            sets[f"{field}.#{mark}"] = f":{mark}"
            names[f"#{mark}"], values[f":{mark}"] = key, to_dynamodb(value)
    for role in (role for role, file in change.files.items() if file is None and known.v):
        removes.append(f"files.#{role}")
        names[f"#{role}"] = role.value
    return Spelling(sets, removes, names, values)


def _text(batch: Batch) -> str:
    """A batch is kept as JSON text: a map could not hold floats or deep nesting unchanged."""
    return batch.model_dump_json()


def _file(file: File) -> dict[str, Any]:
    kept: dict[str, Any] = _whole(file.model_dump(exclude_none=True))  # numbers stay numbers
    return kept


def _whole(value: Any) -> Any:
    """Cut seconds to whole ones, at any depth: DynamoDB takes no floats."""
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) else value


def record_of(item: dict[str, Any], account: str, batch_id: str) -> Record:
    """Read an item; LedgerRowError where it cannot be."""
    if "open" in item and item["open"] != item["account"]:
        raise LedgerRowError("open under another account than its own")
    try:
        plain = {name: from_dynamodb(value) for name, value in item.items()}
        if "batch" in plain:
            plain["batch"] = Batch.model_validate_json(plain["batch"])
        plain |= {"account": account, "batch_id": batch_id, "open": "open" in plain}
        return Record.model_validate(plain)
    except (ValidationError, TypeError) as error:
        raise LedgerRowError(f"unreadable row: {_where(error)}") from error


def _where(error: Exception) -> str:
    """Name the attributes at fault, not their content."""
    if isinstance(error, ValidationError):
        return ", ".join(
            sorted({str(e["loc"][0] if e["loc"] else e["type"]) for e in error.errors()})
        )
    return type(error).__name__


def row_of(item: dict[str, Any], account: str) -> Row:
    """Read an item of the index; the row says what is the matter with it."""
    batch_id = str(from_dynamodb(item["batch_id"]))
    try:
        safe_id(batch_id)
        return Row(record_of(item, account, batch_id))
    except UnsafeIdError as error:
        trouble = LedgerRowError(str(error))
    except LedgerRowError as error:
        trouble = error
    return Row(Record(account=account, batch_id=batch_id), trouble)
