"""The ledger: one DynamoDB item a batch, with its outbox on it.

A write that adds an event is one UpdateItem on the version it was decided from. A refused write
is no error: boto3 repeats lost calls, so the refusal may be of our own success. Then the item as
it is now is what counts, and it comes back with the refusal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError

from batchwatch.batch import TERMINAL, Role, safe_id
from batchwatch.items import key_of, record_of, row_of, spelled, to_dynamodb
from batchwatch.record import FINAL, QUEUE, Change, FileState, Record, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from batchwatch.items import Row

_FREE = "(attribute_not_exists(files.#role.lease.#until) OR files.#role.lease.#until <= :now)"
_STRAY = "attribute_exists(v) AND attribute_not_exists(#open) AND attribute_not_exists(abandoned)"

# A batch is done: it has ended, every event is out, every file has found its end.
_FINAL = ", ".join(f":{state}" for state in sorted(FINAL))
_DONE = " AND ".join(
    (
        f"#status IN ({', '.join(f':{status}' for status in sorted(TERMINAL))})",
        "size(outbox) = :none",
        f"files.#record.#state IN ({_FINAL})",
        *(
            f"(attribute_not_exists(files.#{role}) OR files.#{role}.#state IN ({_FINAL}))"
            for role in (Role.OUTPUT, Role.ERROR, Role.INPUT)
        ),
    )
)
_DONE_NAMES = {"#status": "status", "#state": "state", **{f"#{r}": r.value for r in Role}}
_DONE_VALUES = {
    ":none": to_dynamodb(0),
    **{f":{state}": to_dynamodb(state.value) for state in (*TERMINAL, *FINAL)},
}


class Found(NamedTuple):
    """A batch that a look through the table came by; `open`: whether it is in the index."""

    account: str
    batch_id: str
    open: bool


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
                yield row_of(item, account)

    def get(self, account: str, batch_id: str) -> Record:
        """Read a batch consistently; one never written is a record without a version."""
        answer = self._dynamodb.get_item(
            TableName=self._table, Key=key_of(account, batch_id), ConsistentRead=True
        )
        return record_of(answer.get("Item", {}), account, batch_id)

    def register(self, account: str, batch_id: str) -> None:
        """Put a batch under watch; harmless if it is already (the README gives this write)."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key=key_of(account, safe_id(batch_id)),
            UpdateExpression="SET #open = :account, tracked = :yes",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":account": to_dynamodb(account), ":yes": {"BOOL": True}},
        )

    def write(self, known: Record, change: Change) -> Record:
        """Write a change if the version is still `known`'s; return the item as it now is."""
        sets, removes, names, values = spelled(known, change)
        return self._update(
            known,
            UpdateExpression=(f"REMOVE {', '.join(removes)} " if removes else "")
            + "SET "
            + ", ".join(f"{path} = {to}" for path, to in sets.items()),
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

    def replace_event(self, known: Record, sequence: int, text: str) -> Record:
        """Put another text in the place of an event in the outbox; return the item as it now is."""
        return self._update(
            known,
            UpdateExpression="SET outbox.#n = :text",
            ConditionExpression="outbox.#n = :was",
            ExpressionAttributeNames={"#n": str(sequence)},
            ExpressionAttributeValues={
                ":text": to_dynamodb(text),
                ":was": to_dynamodb(known.outbox[sequence]),
            },
        )

    def close(self, known: Record) -> Record:
        """Take a batch out of the open index, if nothing at all is left to do."""
        return self._update(
            known,
            UpdateExpression="REMOVE #open",
            ConditionExpression=_DONE,
            ExpressionAttributeNames={"#open": "open", **_DONE_NAMES},
            ExpressionAttributeValues=_DONE_VALUES,
        )

    def abandon(self, known: Record) -> Record:
        """Take a batch announced as lost out of the open index, once that is published."""
        return self._update(
            known,
            UpdateExpression="SET abandoned = :yes REMOVE #open",
            ConditionExpression="v = :was AND attribute_exists(lost_at) AND size(outbox) = :none",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={
                ":was": to_dynamodb(known.v),
                ":none": to_dynamodb(0),
                ":yes": {"BOOL": True},
            },
        )

    def scan(self, segment: int, of: int) -> Iterator[list[Found]]:
        """Batches that are in the index `open`, and those with work left that are not, by pages.

        Reads one of `of` segments of the table, consistently.
        """
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            Segment=segment,
            TotalSegments=of,
            ProjectionExpression="#account, batch_id, #open",
            FilterExpression=f"attribute_exists(#open) OR ({_STRAY} AND NOT ({_DONE}))",
            ExpressionAttributeNames={"#open": "open", "#account": "account", **_DONE_NAMES},
            ExpressionAttributeValues=_DONE_VALUES,
        )
        for page in pages:
            yield [
                Found(str(item["account"].get("S")), str(item["batch_id"].get("S")), "open" in item)
                for item in page["Items"]
            ]

    def reopen(self, account: str, batch_id: str) -> None:
        """Put a batch with work left back into the index `open`."""
        self._update(
            Record(account=account, batch_id=batch_id),
            UpdateExpression="SET #open = :account",
            ConditionExpression=f"{_STRAY} AND NOT ({_DONE})",
            ExpressionAttributeNames={"#open": "open", **_DONE_NAMES},
            ExpressionAttributeValues={":account": to_dynamodb(account), **_DONE_VALUES},
        )

    def claim(
        self, known: Record, role: Role, *, owner: str, now: float, until: float
    ) -> Record | None:
        """Lease a file to `owner`, and return the item as it now is.

        None if somebody else works on it or it has ended. Taking over from a worker that died
        counts as a try.
        """
        return self._lease(
            known,
            role,
            "SET files.#role.lease = :lease, files.#role.#state = :copying,"
            " files.#role.tries = files.#role.tries + :died",
            f"({_FREE} OR files.#role.lease.#owner IN (:queue, :owner))"
            " AND files.#role.#state IN (:pending, :copying)",
            {
                ":lease": {"owner": owner, "until": int(until), "parts": known.files[role].parts},
                ":now": int(now),
                ":pending": FileState.PENDING.value,
                ":copying": FileState.COPYING.value,
                ":queue": QUEUE,
                ":owner": owner,
                ":died": int(known.files[role].died),
            },
        )

    def note_upload(
        self, known: Record, role: Role, upload: Upload | None, *, owner: str
    ) -> Record | None:
        """Keep how far a copy is (None: it begins anew), unless the lease is somebody else's."""
        return self._lease(
            known,
            role,
            "SET files.#role.#upload = :upload" if upload else "REMOVE files.#role.#upload",
            "files.#role.lease.#owner = :owner",
            {":owner": owner} | ({":upload": upload.model_dump()} if upload else {}),
        )

    def give_back(  # noqa: PLR0913 - all that a try leaves behind
        self,
        known: Record,
        role: Role,
        *,
        owner: str,
        until: float,
        tried: bool = False,
        missing_since: float | None = None,
    ) -> Record | None:
        """Hand a lease over to the queue, where the order for the next try is."""
        return self._lease(
            known,
            role,
            "SET files.#role.tries = files.#role.tries + :tried, files.#role.lease = :lease"
            + (
                ", files.#role.#missing_since = :missing_since"
                if missing_since is not None
                else " REMOVE files.#role.#missing_since"
            ),
            "files.#role.lease.#owner = :owner",
            {
                ":owner": owner,
                ":tried": int(tried),
                ":lease": {"owner": QUEUE, "until": int(until)},
                **({":missing_since": int(missing_since)} if missing_since is not None else {}),
            },
        )

    def mark_queued(self, known: Record, role: Role, *, now: float, until: float) -> Record | None:
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
    ) -> Record | None:
        """Change what concerns the work on a file; None if the condition does not hold."""
        names = {f"#{name}": name for name in re.findall(r"#(\w+)", f"{update} {condition}")}
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=key_of(known.account, known.batch_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names | {"#role": role.value},
                ExpressionAttributeValues={name: to_dynamodb(v) for name, v in values.items()},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if not _refused(error):
                raise
            return None
        return record_of(answer["Attributes"], known.account, known.batch_id)

    def _update(self, known: Record, **update: Any) -> Record:
        """Update an item; refused or not, what it holds now comes back."""
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=key_of(known.account, known.batch_id),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **update,
            )
            item: dict[str, Any] = answer["Attributes"]
        except ClientError as error:
            if not _refused(error):
                raise
            item = cast("dict[str, Any]", error.response).get("Item", {})
        return record_of(item, known.account, known.batch_id)


def _refused(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
