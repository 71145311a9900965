"""Events as they were sent: each is kept in the bucket, by account and by what it is about."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from batchwatch.cli.stack import Stack

_NAME = re.compile(r"(\d+)-([^/]+)\.json")
_AT_ONCE = 8


class Kept(NamedTuple):
    """An event in the bucket: its key there, and its text as it was sent."""

    key: str
    sequence: int
    type: str
    text: str


def kept_events(stack: Stack, account: str, subject: str) -> list[Kept]:
    """Return every event of a batch or a job, by its id, in sequence; several are read at once."""
    prefix = f"events/{account}/{subject}/"
    pages = stack.client("s3").get_paginator("list_objects_v2")
    listed = (
        entry["Key"]
        for page in pages.paginate(Bucket=stack.bucket, Prefix=prefix)
        for entry in page.get("Contents", [])
    )
    named = [(key, _NAME.fullmatch(key.removeprefix(prefix))) for key in listed]
    found = sorted((int(name[1]), name[2], key) for key, name in named if name)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        texts = pool.map(lambda each: _text(stack, each[2]), found)
        return [
            Kept(key, sequence, kind, text)
            for (sequence, kind, key), text in zip(found, texts, strict=True)
        ]


def _text(stack: Stack, key: str) -> str:
    body = stack.client("s3").get_object(Bucket=stack.bucket, Key=key)["Body"].read()
    try:
        text: str = body.decode()
    except UnicodeDecodeError as error:
        cause = f"s3://{stack.bucket}/{key} is no event of ours: it is not UTF-8"
        raise CommandError(Code.BAD_NEWS, cause) from error
    return text
