"""What was dropped into the bucket: the version that the event names, if it is still the current.

The current version is asked for, and must be that one: so the role needs to read, and no more.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError

from batchwatch.archive import Archive, Part, Stored
from batchwatch.errors import CutOffError, RefusedJobError
from batchwatch.record import Tally
from batchwatch.submit.limits import LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

INBOX = "inbox/"
REJECTED = "inbox-rejected/"
_SUFFIX = ".jsonl"
_SIDECAR = ".options.json"
_PIECE = 1024 * 1024
_BREAKS = 5
"""How often the rest of one object is asked for."""
_LONGEST_PATH = 900  # bytes; a key has 1,024
_GONE = {"NoSuchKey", "NoSuchVersion", "404", "AccessDenied", "403"}
_CHANGED = {"PreconditionFailed", "412"}
_OUR_FAULT = ("kms:", "s3:GetObject")  # a role that lacks something, rather than an object
_DELETED = "the file was deleted before it was read; drop it again, if it is to be sent"
_REPLACED = "the file was replaced before it was read; the newer one is sent by itself"


class Arrival(NamedTuple):
    """What an event names; `version` is None in a bucket that keeps none. `size` in bytes."""

    key: str
    version: str | None
    size: int


def is_sidecar(key: str) -> bool:
    """Tell options from the file that they belong to."""
    name = key.lower()
    return name.endswith(_SIDECAR) and not name.endswith(_SUFFIX + _SIDECAR)


def rejected_key(key: str, job: str, name: str) -> str:
    """Return where something about a dropped file is written: `report.json`, `lines.jsonl`."""
    path = key.removeprefix(INBOX).encode()[:_LONGEST_PATH].decode(errors="ignore")
    return f"{REJECTED}{path}/{job}/{name}"


class Inbox:
    """The bucket, as far as things are dropped into it."""

    def __init__(self, s3: S3Client, bucket: str, limits: Limits = LIMITS) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._limits = limits

    def sidecar(self, key: str) -> bytes | None:
        """Return the options beside a file, as they are now; None if there are none."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key[: -len(_SUFFIX)] + _SIDECAR)
        except ClientError as error:
            if not _is_gone(error):
                raise
            return None
        size = answer["ContentLength"]
        with answer["Body"] as body:
            if size > self._limits.sidecar_bytes:
                most = self._limits.sidecar_bytes
                raise RefusedJobError(f"the options beside the file have more than {most} bytes")
            try:
                options = body.read()
            except (BotoCoreError, OSError) as error:
                raise CutOffError("the options beside a file could not be read") from error
        if len(options) != size:
            raise CutOffError(f"{len(options)} bytes of {size} of the options came from S3")
        return options

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[Dropped]:
        """Begin to read a file; RefusedJobError where it is not to be read."""
        if not arrival.key.lower().endswith(_SUFFIX):
            raise RefusedJobError(
                "only *.jsonl is sent; the options of questions.jsonl are questions.options.json"
            )
        if not arrival.size:
            raise RefusedJobError("the file is empty")
        if arrival.size > self._limits.object_bytes:
            most = self._limits.object_bytes
            raise RefusedJobError(f"the file has more than {most} bytes; divide it")
        dropped = Dropped(self._s3, self._bucket, arrival)
        try:
            yield dropped
        finally:
            dropped.close()


class Dropped:
    """A file that is being read. `metadata`: what the object has of it."""

    def __init__(self, s3: S3Client, bucket: str, arrival: Arrival) -> None:
        self._s3 = s3
        self._arrival = arrival
        self._what: dict[str, Any] = {"Bucket": bucket, "Key": arrival.key}
        answer = self._get()
        self._what["IfMatch"] = answer["ETag"]
        self._body = answer["Body"]
        self.metadata: dict[str, str] = answer.get("Metadata", {})

    def chunks(self) -> Iterator[bytes]:
        """Give all bytes, once. What breaks off is gone on with; CutOffError if it does not help.

        Whoever sees the end has had the whole file.
        """
        at, size = 0, self._arrival.size
        for _ in range(_BREAKS + 1):
            if at:
                self._go_on(at)
            try:
                for piece in self._body.iter_chunks(_PIECE):
                    at += len(piece)
                    yield piece
            except FlexibleChecksumError as error:
                raise CutOffError("a file came from S3 with another checksum") from error
            except (BotoCoreError, OSError):
                pass  # what matters is how far it came
            if at >= size:
                break
        if at != size:
            raise CutOffError(f"{at} bytes of {size} came from S3")

    def close(self) -> None:
        """Leave the connection, and what it may still hold."""
        self._body.close()

    def _go_on(self, at: int) -> None:
        self._body.close()
        try:
            self._body = self._get(at)["Body"]
        except BotoCoreError as error:
            raise CutOffError(f"the rest of a file from byte {at} is not to be had") from error

    def _get(self, at: int = 0) -> Any:
        """Ask for the file from a byte on."""
        rest: dict[str, Any] = {"Range": f"bytes={at}-"} if at else {}
        try:
            answer = self._s3.get_object(**self._what, **rest)
        except ClientError as error:
            if _code(error) in _CHANGED:
                raise RefusedJobError(_REPLACED) from error
            if _is_gone(error):
                raise RefusedJobError(_DELETED) from error
            raise
        version = self._arrival.version
        other = version is not None and answer.get("VersionId") != version
        whole = answer["ContentLength"] == self._arrival.size - at
        if other or not whole:
            answer["Body"].close()
            if at and not other:  # of the same content: it is the range that was not heeded
                raise CutOffError(f"S3 does not give the rest of a file from byte {at}")
            raise RefusedJobError(_REPLACED)
        return answer


class Rewritten(Archive):
    """Objects that a repeated reading writes anew, where an archive writes once."""

    def put_file(self, key: str, body: bytes) -> Stored:
        """Write an object, whatever was there."""
        kind = "application/json" if key.endswith(".json") else "application/jsonl"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind)
        return self._stored(key, Tally().add(body))

    def complete(self, key: str, upload: str, parts: list[Part], tally: Tally) -> Stored:
        """Make an object visible, whatever was there."""
        self._s3.complete_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": [part.named for part in parts]},
            MpuObjectSize=tally.size,
        )
        return self._stored(key, tally)


def _is_gone(error: ClientError) -> bool:
    """Whether there is no such object; who may not list is told 403 then.

    A 403 that names what is lacking to read is not about the object, and must not pass for it.
    """
    said = error.response["Error"].get("Message", "")
    return _code(error) in _GONE and not any(fault in said for fault in _OUR_FAULT)


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
