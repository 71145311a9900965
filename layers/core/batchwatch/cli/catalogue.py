"""The ledger as people ask for it: the newest first, those with work left, or by their ids.

Each answer is of items as they now are; an item that cannot be read is a row that says why.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Any

from batchwatch.items import from_dynamodb, key_of, row_of, to_dynamodb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from batchwatch.items import Row

DEFAULT_ACCOUNT = "default"
_AT_ONCE = 100  # keys that one BatchGetItem takes
_PAGE = 100


class Catalogue:
    """Batches of a stack."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, s3: S3Client, bucket: str) -> None:
        self._dynamodb, self._table = dynamodb, table
        self._s3, self._bucket = s3, bucket

    def accounts(self) -> list[str]:
        """Every account that anything was ever told of, and the usual one.

        The secret would know them, too; but it holds the keys, and nobody needs to read those.
        """
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix="events/", Delimiter="/"
        )
        told = [p["Prefix"].split("/")[1] for page in pages for p in page.get("CommonPrefixes", [])]
        return sorted({DEFAULT_ACCOUNT, *told})

    def newest(
        self, accounts: Iterable[str], *, since: float | None = None, until: float | None = None
    ) -> Iterator[Row]:
        """Every batch seen by now, the newest first, a hundred at a time; by one index alone.

        `since` and `until`: when it was made, in seconds since 1970.
        """
        each = [self._newest(account, since, until) for account in accounts]
        keys = heapq.merge(*each, key=lambda found: -found[0])
        while some := [*islice(keys, _AT_ONCE)]:
            rows = {
                (r.known.account, r.known.batch_id): r for r in self.batches(k for _, *k in some)
            }
            yield from (rows[a, b] for _, a, b in some if (a, b) in rows)

    def with_work_left(self, accounts: Iterable[str]) -> Iterator[Row]:
        """Every batch that is not done with yet, the newest first; by the index of those alone."""
        keys = [key for account in accounts for key in self._open(account)]
        yield from sorted(self.batches(keys), key=lambda row: -(row.known.created_at or 0))

    def batches(self, keys: Iterable[Iterable[str]]) -> Iterator[Row]:
        """Those of some batches that are there; `keys`: account and id. In no order."""
        left = [key_of(*key) for key in keys]
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            answer = self._dynamodb.batch_get_item(RequestItems={self._table: {"Keys": some}})
            yield from (_row(item) for item in answer["Responses"].get(self._table, []))
            left += _unprocessed(answer, self._table)

    def _newest(
        self, account: str, since: float | None, until: float | None
    ) -> Iterator[tuple[float, str, str]]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="created",
            KeyConditionExpression="#account = :account AND created_at BETWEEN :since AND :until",
            ExpressionAttributeNames={"#account": "account"},
            ExpressionAttributeValues={
                ":account": to_dynamodb(account),
                ":since": to_dynamodb(int(since or 0)),
                ":until": to_dynamodb(int(_FAR if until is None else until)),
            },
            ScanIndexForward=False,
            PaginationConfig={"PageSize": _PAGE},
        )
        for page in pages:
            for item in page["Items"]:
                yield float(item["created_at"]["N"]), account, item["batch_id"]["S"]

    def _open(self, account: str) -> Iterator[tuple[str, str]]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="open",
            KeyConditionExpression="#open = :account",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":account": to_dynamodb(account)},
            ProjectionExpression="batch_id",
        )
        for page in pages:
            yield from ((account, item["batch_id"]["S"]) for item in page["Items"])


_FAR = 10**11  # a time that no batch is made at


def _unprocessed(answer: Any, table: str) -> list[dict[str, Any]]:
    return [*answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])]


def _row(item: dict[str, Any]) -> Row:
    return row_of(item, str(from_dynamodb(item["account"])))
