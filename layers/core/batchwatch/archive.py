"""Results in S3: verified, written once.

An object under the archive prefix is whole or not there.
"""

from __future__ import annotations

import base64
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from botocore.exceptions import BotoCoreError, ClientError

from batchwatch.errors import BadUploadError, LostObjectError, ShortDownloadError
from batchwatch.record import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from batchwatch.job_events import Event

_ALREADY_THERE = "PreconditionFailed"
_NO_UPLOAD = "NoSuchUpload"  # completed (and the answer was lost), aborted or dropped
_AT_ONCE = "ConditionalRequestConflict"  # somebody writes or deletes the same key at this moment
_AT_ONCE_TRIES = 3
_GONE = {"NoSuchKey", "AccessDenied"}  # the latter too, to who may not list
_OF_THE_KEY = "kms:"  # it is the key that may not be used, and the object is there
_WRONG_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "BadDigest", "InvalidRequest"}
_PIECE = 1024 * 1024
MOST_PARTS = 10_000
LEAST_PART = 5 * 1024 * 1024
"""Bytes of a part that S3 takes at least, but for the last one."""
PART_BYTES = 8 * 1024 * 1024
"""Size of a part, the only thing that is held; larger where S3's 10,000 parts would not do."""


class Stored(NamedTuple):
    """An object as it lies in the bucket; `crc32` is over the whole, eight hex digits."""

    s3_uri: str
    size: int
    lines: int
    crc32: str


class Part(NamedTuple):
    """A part of an upload: its bytes, how a completion names it, and what was sent as it."""

    size: int
    named: CompletedPartTypeDef
    tally: Tally = Tally()


class Archive:
    """The bucket."""

    def __init__(self, s3: S3Client, bucket: str, *, part_bytes: int = PART_BYTES) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._part_bytes = part_bytes

    def part_bytes(self, size: int | None) -> int:
        """Return how large the parts of a file of `size` bytes are."""
        return max(self._part_bytes, -(-(size or 0) // MOST_PARTS))

    def put(self, key: str, body: bytes) -> Stored:
        """Write a small object once; one that is there already stays, and is what counts."""
        if self._put(key, body):
            return self._stored(key, Tally().add(body))
        return self.measure(key)

    def put_file(self, key: str, body: bytes) -> Stored:
        """Write a file that fits into one part; ShortDownloadError if another has its place."""
        tally = Tally().add(body)
        return self._stored(key, tally) if self._put(key, body) else self.found(key, tally)

    def keep(self, event: Event, frozen: str) -> None:
        """Keep an event as an object, once: `events/ACCOUNT/BATCH/0001-batch.completed.json`."""
        name = f"{event.data.sequence:04d}-{event.type}.json"
        self._put(f"events/{event.data.account}/{event.subject}/{name}", frozen.encode())

    def begin(self, key: str) -> str:
        """Begin a multipart upload; return its id."""
        return self._s3.create_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            ContentType=_content_type(key),
            ChecksumAlgorithm="CRC32",
        )["UploadId"]

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> Part:
        """Send a part with its checksum, which S3 verifies. The same part again replaces it."""
        tally = Tally().add(body)
        crc32 = _header(tally.crc32)
        try:
            answer = self._s3.upload_part(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
                ChecksumCRC32=crc32,
            )
        except ClientError as error:
            if _code(error) != _NO_UPLOAD:
                raise
            raise BadUploadError("S3 no longer has the upload") from error
        named = {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": crc32}
        return Part(len(body), _completed(named), tally)

    def parts(self, key: str, upload: str) -> dict[int, Part] | None:
        """Return what S3 has of an upload, by part number; None if it knows no such upload."""
        pages = self._s3.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=key, UploadId=upload
        )
        try:
            listed = [part for page in pages for part in page.get("Parts", [])]
        except ClientError as error:
            if _code(error) != _NO_UPLOAD:
                raise
            return None
        return {p["PartNumber"]: Part(p["Size"], _completed(p)) for p in listed}

    def complete(self, key: str, upload: str, parts: list[Part], tally: Tally) -> Stored:
        """Make the object visible, unless there is one already, which then must be the same.

        BadUploadError: what S3 has is not what was sent; nothing but a new upload can help.
        """
        try:
            self._s3.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": [part.named for part in parts]},
                MpuObjectSize=tally.size,
                IfNoneMatch="*",
            )
        except ClientError as error:
            if _code(error) in _WRONG_PARTS:
                raise BadUploadError(f"S3 refused the parts: {_code(error)}") from error
            if _code(error) not in {_ALREADY_THERE, _NO_UPLOAD, _AT_ONCE}:
                raise
            self.abort(key, upload)
            return self.found(key, tally, certain=_code(error) == _ALREADY_THERE)
        return self._stored(key, tally)

    def abort(self, key: str, upload: str) -> None:
        """Drop the parts; where that fails, the bucket drops them after a week."""
        with suppress(ClientError, BotoCoreError):
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def found(self, key: str, tally: Tally, *, certain: bool = True) -> Stored:
        """Return an object written by an earlier try; it is read to the end, and must be the file.

        ShortDownloadError if it is another; BadUploadError if there is none, unless it is certain
        that there is one.
        """
        try:
            there = self.measure(key)
        except ClientError as error:
            if certain or not _is_gone(error):
                raise
            raise BadUploadError(f"neither the upload nor {self.uri(key)} is there") from error
        ours = self._stored(key, tally)
        if there != ours:
            raise ShortDownloadError(
                f"{self.uri(key)} has {there.size} bytes, crc32 {there.crc32};"
                f" the file has {ours.size}, {ours.crc32}"
            )
        return there

    def measure(self, key: str) -> Stored:
        """Read an object from end to end."""
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        tally = Tally()
        for piece in body.iter_chunks(_PIECE):
            tally = tally.add(piece)
        return self._stored(key, tally)

    def read(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Read an object from byte `start` on, bit by bit; LostObjectError where it is gone."""
        part = {"Range": f"bytes={start}-"} if start else {}
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key, **part)["Body"]  # type: ignore[arg-type]
        except ClientError as error:
            if not _is_gone(error):
                raise
            raise LostObjectError(f"{self.uri(key)} is not there any more") from error
        yield from body.iter_chunks(_PIECE)

    def last_byte(self, key: str, size: int) -> bytes:
        """Read the last byte of an object of that size; none of an empty one."""
        return b"".join(self.read(key, size - 1)) if size else b""

    def uri(self, key: str) -> str:
        """Return the address of an object."""
        return f"s3://{self._bucket}/{key}"

    def _stored(self, key: str, tally: Tally) -> Stored:
        return Stored(self.uri(key), tally.size, tally.lines, f"{tally.crc32:08x}")

    def _put(self, key: str, body: bytes) -> bool:
        """Write an object; False if there was one already."""
        for attempt in range(_AT_ONCE_TRIES):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=_content_type(key),
                    ChecksumCRC32=_header(zlib.crc32(body)),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if _code(error) == _ALREADY_THERE:
                    return False
                if _code(error) != _AT_ONCE or attempt == _AT_ONCE_TRIES - 1:
                    raise
            else:
                return True
        raise AssertionError  # the last attempt returns or raises


def _completed(part: Mapping[str, object]) -> CompletedPartTypeDef:
    """Turn a listed part into what a completion names. Not every S3 lists checksums."""
    names = ("PartNumber", "ETag", "ChecksumCRC32")
    return cast("CompletedPartTypeDef", {name: part[name] for name in names if part.get(name)})


def _is_gone(error: ClientError) -> bool:
    """Whether there is no such object; a 403 that names KMS is not about the object."""
    return _code(error) in _GONE and _OF_THE_KEY not in error.response["Error"].get("Message", "")


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _content_type(key: str) -> str:
    return "application/json" if key.endswith(".json") else "application/jsonl"


def _header(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4)).decode()
