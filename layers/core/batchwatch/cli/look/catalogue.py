"""The ledger as people ask for it: the newest first, those with work left, or by their ids.

Each answer is of items as they now are; an item that cannot be read is a row that says why.
"""

from __future__ import annotations

import heapq
import math
import random
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from batchwatch.cli.trouble import Code, CommandError
from batchwatch.items import from_dynamodb, key_of, row_of, to_dynamodb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from batchwatch.items import Row

DEFAULT_ACCOUNT = "default"
_AT_ONCE = 100  # keys that one BatchGetItem takes at most
_TRIES = 6  # in a row that bring nothing; at most 6 s
_KEYS = 1000  # of the index at a time; they are short


class Catalogue:
    """Batches of a stack."""

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, s3: Callable[[], S3Client], bucket: str
    ) -> None:
        self._dynamodb, self._table = dynamodb, table
        self._s3, self._bucket = s3, bucket

    def accounts(self) -> list[str]:
        """Every account of which anything was told or archived; the usual one before that.

        The secret would know them, too; but it holds the keys, and nobody needs to read those. One
        under whose name batches were only registered is not among them: it would take a scan.
        """
        told = self._folders("events/")
        kept = (name.removeprefix("account=") for name in self._folders("batches/"))
        return sorted({*told, *kept}) or [DEFAULT_ACCOUNT]

    def _folders(self, prefix: str) -> list[str]:
        pages = (
            self._s3()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
        )
        found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return [name.removeprefix(prefix).rstrip("/") for name in found]

    def newest(
        self,
        accounts: Iterable[str],
        *,
        since: float | None = None,
        until: float | None = None,
        few: int | None = None,
    ) -> Iterator[Row]:
        """Every batch seen by now, the newest first, as they are asked for; by one index alone.

        `since` and `until`: when it was made, in seconds since 1970, both included. `few`: how
        many are wanted, at most, so that no more are read.
        """
        page = min(_KEYS, few or _KEYS)
        each = [self._newest(account, since, until, page) for account in accounts]
        yield from self._rows(heapq.merge(*each, key=_newest_first), min(_AT_ONCE, page))

    def with_work_left(self, accounts: Iterable[str]) -> Iterator[Row]:
        """Every batch that is not done with yet, the newest first; by the index of those alone.

        Those that have no date yet, or never will, come before all others.
        """
        keys = [key for account in accounts for key in self._open(account)]
        yield from self._rows(iter(sorted(keys, key=_newest_first)), _AT_ONCE)

    def undated(self, accounts: Iterable[str]) -> Iterator[Row]:
        """Every batch with work left that was not seen yet, or whose provider does not date it.

        The index by date cannot have them; that of those with work left does.
        """
        never = "attribute_not_exists(created_at)"
        keys = (key for account in accounts for key in self._open(account, FilterExpression=never))
        yield from self._rows(keys, _AT_ONCE)

    def batches(self, keys: Iterable[Iterable[str]], *, latest: bool = False) -> Iterator[Row]:
        """Those of some batches that are there; `keys`: account and id. In no order.

        `latest`: with all that was written until now, where an older state would mislead; it
        costs twice as much.
        """
        left, refused = [key_of(*key) for key in keys], 0
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            answer = self._dynamodb.batch_get_item(
                RequestItems={self._table: {"Keys": some, "ConsistentRead": latest}}
            )
            yield from (_row(item) for item in answer["Responses"].get(self._table, []))
            again = _unprocessed(answer, self._table)
            refused = refused + 1 if len(again) == len(some) else int(bool(again))
            _pause(refused)
            left += again

    def _rows(self, keys: Iterator[_Key], at_once: int) -> Iterator[Row]:
        """Give the rows of keys in their order, without those that are gone by now."""
        while some := [*islice(keys, at_once)]:
            read = self.batches((account, batch_id) for _, account, batch_id in some)
            rows = {(row.known.account, row.known.batch_id): row for row in read}
            yield from (rows[key[1:]] for key in some if key[1:] in rows)

    def _newest(
        self, account: str, since: float | None, until: float | None, page_size: int
    ) -> Iterator[_Key]:
        if since is not None and until is not None and math.ceil(since) > math.floor(until):
            return  # no whole second lies between them, and DynamoDB refuses such a range
        conditions, values = ["#account = :account"], {":account": to_dynamodb(account)}
        if since is not None and until is not None:
            conditions.append("created_at BETWEEN :since AND :until")
        elif since is not None or until is not None:
            conditions.append("created_at >= :since" if until is None else "created_at <= :until")
        values |= {":since": to_dynamodb(math.ceil(since))} if since is not None else {}
        values |= {":until": to_dynamodb(math.floor(until))} if until is not None else {}
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="created",
            KeyConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames={"#account": "account"},
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            PaginationConfig={"PageSize": page_size},
        )
        for page in pages:
            yield from (_key(item, account) for item in page["Items"])

    def _open(self, account: str, **how: Any) -> Iterator[_Key]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="open",
            KeyConditionExpression="#open = :account",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":account": to_dynamodb(account)},
            ProjectionExpression="batch_id, created_at",
            **how,
        )
        for page in pages:
            yield from (_key(item, account) for item in page["Items"])


_Key = tuple[float, str, str]
"""When a batch was made (infinite: it was never seen), its account and its id."""


def _key(item: dict[str, Any], account: str) -> _Key:
    created = item.get("created_at", {}).get("N", "inf")
    return float(created), account, item["batch_id"]["S"]


def _newest_first(key: _Key) -> float:
    return -key[0]


def _pause(refused: int) -> None:
    """Wait before keys are asked for again; CommandError where that does not help."""
    if refused > _TRIES:
        cause = "AWS has too much to do for BatchGetItem"
        raise CommandError(Code.LATER, cause, "try again in a minute")
    if refused:
        time.sleep(random.uniform(0, 0.05 * 2**refused))  # noqa: S311 - spreads the load only


def _unprocessed(answer: Any, table: str) -> list[dict[str, Any]]:
    return [*answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])]


def _row(item: dict[str, Any]) -> Row:
    return row_of(item, str(from_dynamodb(item["account"])))
