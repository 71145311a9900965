"""The ledger: one DynamoDB item a batch, with its outbox on it.

A write that adds an event is one UpdateItem on the version it was decided from. A refused write
is no error: boto3 repeats lost calls, so the refusal may be of our own success. Then the item as
it is now is what counts, and it comes back with the refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from pydantic import ValidationError

from batchwatch.batch import TERMINAL, Batch, Role, safe_id
from batchwatch.errors import LedgerRowError, UnsafeIdError
from batchwatch.record import FINAL, QUEUE, Change, File, FileState, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

to_dynamodb = TypeSerializer().serialize
_plain = TypeDeserializer().deserialize

_FREE = "(attribute_not_exists(files.#role.lease.#until) OR files.#role.lease.#until <= :now)"


class Row(NamedTuple):
    """What the index `open` shows of a batch, as of some moments ago.

    `known` is a part only: no sequence, no batch object, no files. Decide on the item itself.
    """

    known: Record
    trouble: LedgerRowError | None = None


class Ledger:
    """Batches under watch."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def open_rows(self, account: str) -> Iterator[Row]:
        """Every batch of the account with work left, by the index alone; bad rows say so."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="open",
            KeyConditionExpression="#open = :account",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":account": to_dynamodb(account)},
        )
        for page in pages:
            for item in page["Items"]:
                yield _row(item, account)

    def get(self, account: str, batch_id: str) -> Record:
        """Read a batch consistently; one never written is a record without a version."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=_key(account, batch_id), ConsistentRead=True
        )
        return _record(answer.get("Item", {}), account, batch_id)

    def register(self, account: str, batch_id: str) -> None:
        """Put a batch under watch; harmless if it is already (the README gives this write)."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key=_key(account, safe_id(batch_id)),
            UpdateExpression="SET #open = :account, tracked = :yes",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":account": to_dynamodb(account), ":yes": to_dynamodb(True)},  # noqa: FBT003 - a value, not a switch
        )

    def write(self, known: Record, change: Change) -> Record:
        """Write a change if the version is still `known`'s; return the item as it now is."""
        sets, names, values = _expression(known, change)
        return self._update(
            known,
            UpdateExpression="SET " + ", ".join(f"{path} = {to}" for path, to in sets.items()),
            ConditionExpression="v = :was" if known.v else "attribute_not_exists(v)",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def mark_published(self, known: Record, sequence: int) -> Record:
        """Take a published event out of the outbox; return the item as it now is."""
        return self._update(
            known,
            UpdateExpression="REMOVE outbox.#n",
            ConditionExpression="attribute_exists(outbox.#n)",
            ExpressionAttributeNames={"#n": str(sequence)},
        )

    def close(self, known: Record) -> Record:
        """Take a batch out of the open index, if nothing at all is left to do."""
        final = ", ".join(f":{state}" for state in FINAL)
        done = " AND ".join(
            f"(attribute_not_exists(files.#{role}) OR files.#{role}.#state IN ({final}))"
            for role in (Role.OUTPUT, Role.ERROR)
        )
        return self._update(
            known,
            UpdateExpression="REMOVE #open",
            ConditionExpression=(
                f"#status IN ({', '.join(f':{s}' for s in TERMINAL)}) AND size(outbox) = :none"
                f" AND files.#record.#state IN ({final}) AND {done}"
            ),
            ExpressionAttributeNames={
                "#open": "open",
                "#status": "status",
                "#state": "state",
                **{f"#{role}": role.value for role in Role},
            },
            ExpressionAttributeValues={
                ":none": to_dynamodb(0),
                **{f":{s}": to_dynamodb(s.value) for s in (*TERMINAL, *FINAL)},
            },
        )

    def claim(self, known: Record, role: Role, *, owner: str, now: float, until: float) -> bool:
        """Lease a file to `owner`; False if somebody else works on it or it has ended.

        Taking over from a worker that died counts as a try.
        """
        return self._lease(
            known,
            role,
            "SET files.#role.lease = :lease, files.#role.#state = :copying,"
            " files.#role.tries = files.#role.tries + :died",
            f"({_FREE} OR files.#role.lease.#owner IN (:queue, :owner))"
            " AND files.#role.#state IN (:pending, :copying)",
            {
                ":lease": {"owner": owner, "until": int(until)},
                ":now": int(now),
                ":pending": FileState.PENDING.value,
                ":copying": FileState.COPYING.value,
                ":queue": QUEUE,
                ":owner": owner,
                ":died": int(known.files[role].by_worker),
            },
        )

    def give_back(
        self, known: Record, role: Role, *, owner: str, until: float, tried: bool
    ) -> bool:
        """Hand a lease over to the queue, where the order for the next try is."""
        return self._lease(
            known,
            role,
            "SET files.#role.tries = files.#role.tries + :tried, files.#role.lease = :lease",
            "files.#role.lease.#owner = :owner",
            {
                ":owner": owner,
                ":tried": int(tried),
                ":lease": {"owner": QUEUE, "until": int(until)},
            },
        )

    def mark_queued(self, known: Record, role: Role, *, now: float, until: float) -> bool:
        """Note that an order for a file is on its way, so that it is not given every minute."""
        return self._lease(
            known,
            role,
            "SET files.#role.lease = :lease",
            _FREE,
            {":lease": {"owner": QUEUE, "until": int(until)}, ":now": int(now)},
        )

    def _lease(
        self, known: Record, role: Role, update: str, condition: str, values: dict[str, Any]
    ) -> bool:
        used = [n for n in ("state", "until", "owner") if f"#{n}" in update + condition]
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(known.account, known.batch_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#role": role.value} | {f"#{n}": n for n in used},
                ExpressionAttributeValues={name: to_dynamodb(v) for name, v in values.items()},
            )
        except ClientError as error:
            if not _refused(error):
                raise
            return False
        return True

    def _update(self, known: Record, **update: Any) -> Record:
        """Update an item; refused or not, what it holds now comes back."""
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(known.account, known.batch_id),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **update,
            )
            item: dict[str, Any] = answer["Attributes"]
        except ClientError as error:
            if not _refused(error):
                raise
            item = cast("dict[str, Any]", error.response).get("Item", {})
        return _record(item, known.account, known.batch_id)


def _refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _key(account: str, batch_id: str) -> dict[str, Any]:
    return {"account": to_dynamodb(account), "batch_id": to_dynamodb(batch_id)}


def _expression(
    known: Record, change: Change
) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """Spell a change as what to SET. The first write sets whole maps, later ones into them."""
    seq = known.seq + len(change.events)
    plain: dict[str, Any] = {
        "open": known.account if not known.v else None,
        "v": known.v + 1,
        "seq": seq,
        "last_status": change.events[-1].data.status if change.events else None,
        "status": change.status,
        "batch": change.batch and _text(change.batch),
        "digest": change.digest,
        "progress": change.progress,
        "moved_at": None if change.moved_at is None else int(change.moved_at),
        "unknown": None if change.unknown is None else set(change.unknown),
    }
    sets = {f"#{name}": f":{name}" for name, value in plain.items() if value is not None}
    names = {path: path[1:] for path in sets}
    values = {f":{name}": to_dynamodb(plain[name]) for name in names.values()}
    if known.v:
        values[":was"] = to_dynamodb(known.v)
    events = {str(e.data.sequence): e.frozen() for e in change.events}
    files = {role.value: _file(file) for role, file in change.files.items()}
    for field, entries in (("outbox", events), ("files", files)):
        if not known.v:
            sets[field], values[f":{field}"] = f":{field}", to_dynamodb(entries)
            continue
        for number, (key, value) in enumerate(entries.items()):
            mark = f"{field}{number}"
            sets[f"{field}.#{mark}"] = f":{mark}"
            names[f"#{mark}"], values[f":{mark}"] = key, to_dynamodb(value)
    return sets, names, values


def _text(batch: Batch) -> str:
    """A batch is kept as JSON text: a map could not hold floats or deep nesting unchanged."""
    return batch.model_dump_json()


def _file(file: File) -> dict[str, Any]:
    kept = file.model_dump(mode="json", exclude_none=True)
    whole_seconds = {k: int(kept[k]) for k in ("ask_at", "give_up_at") if k in kept}
    return kept | whole_seconds


def _record(item: dict[str, Any], account: str, batch_id: str) -> Record:
    if "open" in item and item["open"] != item["account"]:
        raise LedgerRowError("open under another account than its own")
    try:
        plain = {name: _plain(value) for name, value in item.items()}
        if "batch" in plain:
            plain["batch"] = Batch.model_validate_json(plain["batch"])
        plain |= {"account": account, "batch_id": batch_id, "open": "open" in plain}
        return Record.model_validate(plain)
    except (ValidationError, TypeError) as error:
        raise LedgerRowError(f"unreadable row: {_where(error)}") from error


def _where(error: Exception) -> str:
    """Name the attributes at fault, not their content."""
    if isinstance(error, ValidationError):
        return ", ".join(".".join(str(p) for p in e["loc"]) or e["type"] for e in error.errors())
    return type(error).__name__


def _row(item: dict[str, Any], account: str) -> Row:
    batch_id = str(_plain(item["batch_id"]))
    try:
        safe_id(batch_id)
        return Row(_record(item, account, batch_id))
    except UnsafeIdError as error:
        trouble = LedgerRowError(str(error))
    except LedgerRowError as error:
        trouble = error
    return Row(Record(account=account, batch_id=batch_id), trouble)
