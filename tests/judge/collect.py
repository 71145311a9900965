"""What is left of a run in memory, gathered for the checker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from tests.judge.checker import Outside, truths
from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.world import World

_plain = TypeDeserializer().deserialize


def collect(
    world: World,
    messages: Sequence[str],
    batch_ids: Iterable[str],
    lost: Mapping[str, Iterable[str]] = {},
    *,
    text: Sequence[str] = (),
) -> Outside:
    """Look at everything from outside, with clients of its own: no fault of a test reaches them."""
    bucket = world.environment["BATCHWATCH_BUCKET"]
    return Outside(
        truth=truths(world.openai, batch_ids, lost),
        messages=list(messages),
        items=list(_items(world.environment["BATCHWATCH_TABLE"])),
        objects=_objects(bucket),
        dead_letters=_dead_letters(world.environment["BATCHWATCH_ARCHIVE_DEAD_LETTERS"]),
        uploads=_uploads(bucket),
        text=list(text),
    )


def _items(table: str) -> Iterator[dict[str, Any]]:
    pages = client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            yield {name: _plain(value) for name, value in item.items()}


def _objects(bucket: str) -> dict[str, list[bytes]]:
    s3 = client("s3")
    found: dict[str, list[bytes]] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", []):
            key = version["Key"]
            stored = s3.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
            found.setdefault(key, []).append(stored["Body"].read())
    return found


def _uploads(bucket: str) -> int:
    pages = client("s3").get_paginator("list_multipart_uploads")
    return sum(len(page.get("Uploads", [])) for page in pages.paginate(Bucket=bucket))


def _dead_letters(queue: str) -> list[str]:
    """Read every message once, then let all be seen again."""
    sqs = client("sqs")
    found = []
    while some := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += some
    for message in found:
        receipt = message["ReceiptHandle"]
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
    return [message["Body"] for message in found]
