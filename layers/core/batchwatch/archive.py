"""Results in S3: streamed, verified, written once.

An object under the archive prefix is whole or not there. Nothing is held but one part.
"""

from __future__ import annotations

import base64
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from batchwatch.batch import Batch, Role
from batchwatch.errors import ShortDownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from batchwatch.events import BatchEvent
    from batchwatch.openai import Download

_ALREADY_THERE = "PreconditionFailed"
_ALREADY_DONE = "NoSuchUpload"  # the answer to an earlier completion was lost
_AT_ONCE = "ConditionalRequestConflict"  # somebody writes the same key at this moment
_AT_ONCE_TRIES = 3
PART_BYTES = 8 * 1024 * 1024
"""Size of a part; S3 takes 10,000 of them, 78 GiB."""


class Stored(NamedTuple):
    """An object as it lies in the bucket; `crc32` is over the whole, eight hex digits."""

    s3_uri: str
    size: int
    lines: int
    crc32: str


class Archive:
    """The bucket."""

    def __init__(self, s3: S3Client, bucket: str, *, part_bytes: int = PART_BYTES) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._part_bytes = part_bytes

    def copy(self, download: Download, key: str) -> Stored:
        """Stream a file of OpenAI into an object; raise ShortDownloadError rather than cut it."""
        parts = _parts(download.chunks, self._part_bytes)
        first = next(parts, b"")
        tally = _Tally()
        tally.add(first)
        if len(first) < self._part_bytes:
            _verify(tally, download.size)
            if not self._put(key, first):
                self._compare(key, tally.size)
        else:
            self._put_parts(key, first, parts, tally, download.size)
        return Stored(self.uri(key), tally.size, tally.lines, f"{tally.crc32:08x}")

    def put(self, key: str, body: bytes) -> Stored:
        """Write a small object once; one that is there already stays, and is what counts."""
        written = self._put(key, body)
        tally = _Tally()
        tally.add(body if written else self._read(key))
        return Stored(self.uri(key), tally.size, tally.lines, f"{tally.crc32:08x}")

    def keep(self, event: BatchEvent, frozen: str) -> None:
        """Keep an event as an object, once: `events/ACCOUNT/BATCH/0001-batch.completed.json`."""
        name = f"{event.data.sequence:04d}-{event.type}.json"
        self._put(f"events/{event.data.account}/{event.subject}/{name}", frozen.encode())

    def uri(self, key: str) -> str:
        """Return the address of an object."""
        return f"s3://{self._bucket}/{key}"

    def _read(self, key: str) -> bytes:
        return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def _compare(self, key: str, size: int) -> None:
        """An object was there before ours: written by an earlier try, so it must be the same."""
        there = self._s3.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        if there != size:
            raise ShortDownloadError(f"{self.uri(key)} has {there} bytes, the file has {size}")

    def _put(self, key: str, body: bytes) -> bool:
        """Write an object; False if there was one already."""
        for attempt in range(_AT_ONCE_TRIES):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=_content_type(key),
                    ChecksumCRC32=_crc32_header(body),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == _ALREADY_THERE:
                    return False
                if code != _AT_ONCE or attempt == _AT_ONCE_TRIES - 1:
                    raise
            else:
                return True
        raise AssertionError  # the last attempt returns or raises

    def _put_parts(
        self, key: str, first: bytes, rest: Iterator[bytes], tally: _Tally, expected: int | None
    ) -> None:
        upload = self._s3.create_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            ContentType=_content_type(key),
            ChecksumAlgorithm="CRC32",
        )["UploadId"]
        try:
            done = [self._put_part(key, upload, 1, first)]
            for number, part in enumerate(rest, start=2):
                tally.add(part)
                done.append(self._put_part(key, upload, number, part))
            _verify(tally, expected)
            self._complete(key, upload, done, tally.size)
        except BaseException:
            self._abort(key, upload)
            raise

    def _abort(self, key: str, upload: str) -> None:
        """Drop the parts; where that fails, the bucket drops them after a week."""
        with suppress(ClientError, BotoCoreError):
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def _put_part(self, key: str, upload: str, number: int, body: bytes) -> CompletedPartTypeDef:
        crc32 = _crc32_header(body)
        answer = self._s3.upload_part(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=body,
            ChecksumCRC32=crc32,
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": crc32}

    def _complete(
        self, key: str, upload: str, parts: list[CompletedPartTypeDef], size: int
    ) -> None:
        """Make the object visible, unless there is one already."""
        try:
            self._s3.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                MpuObjectSize=size,
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in {_ALREADY_THERE, _ALREADY_DONE}:
                raise
            self._abort(key, upload)
            self._compare(key, size)


class _Tally:
    """Running size, lines and CRC32 of a stream."""

    def __init__(self) -> None:
        self.size = self.lines = self.crc32 = 0

    def add(self, part: bytes) -> None:
        self.size += len(part)
        self.lines += part.count(b"\n")
        self.crc32 = zlib.crc32(part, self.crc32)


def archive_key(account: str, batch: Batch, role: Role) -> str:
    """Where a file of a batch lies in the bucket; the date is the batch's own."""
    name = "batch.json" if role is Role.RECORD else f"{role}.jsonl"
    created = batch.created_at
    day = "unknown" if created is None else f"{datetime.fromtimestamp(created, tz=UTC):%Y-%m-%d}"
    return f"batches/account={account}/created={day}/{batch.id}/{name}"


def _parts(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Gather a stream into parts of exactly `size` bytes, the last one shorter."""
    part = bytearray()
    for chunk in chunks:
        part += chunk
        while len(part) >= size:
            yield bytes(part[:size])
            del part[:size]
    if part:
        yield bytes(part)


def _verify(tally: _Tally, expected: int | None) -> None:
    if expected is not None and tally.size != expected:
        raise ShortDownloadError(f"got {tally.size} of {expected} bytes")


def _content_type(key: str) -> str:
    return "application/json" if key.endswith(".json") else "application/jsonl"


def _crc32_header(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
