"""Files put into the inbox, each once: as a file that is put there twice is sent, and paid, twice.

Always by a multipart upload, whose completion can be repeated: boto3 repeats calls whose answer is
lost, and a repeated PutObject would be another version, which is another job.
"""

from __future__ import annotations

import uuid
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from batchwatch.cli.follow.watched import Put
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.submit.job import job_id_of
from batchwatch.submit.limits import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from batchwatch.cli.send.checking import Letter

_ALWAYS_PARTS = TransferConfig(
    multipart_threshold=1, multipart_chunksize=16 * 1024 * 1024, max_concurrency=4
)
_COMPLETE = "s3.CompleteMultipartUpload"
_MARK = "upload"
"""Name of the metadata by which a version is known to be ours, should its answer be lost."""
_GONE = {"404", "NoSuchKey"}


class TooLateError(KeyboardInterrupt):
    """Raised by a Ctrl-C at whose moment the file was there already: it is sent, and paid."""

    def __init__(self, sent: Put) -> None:
        super().__init__()
        self.sent = sent


def put(s3: S3Client, bucket: str, letter: Letter, progress: Callable[[int], None]) -> Put:
    """Put a file into the inbox, its options just before; `progress` is told of further bytes.

    S3 compares the checksum of each part. What does not come to its end leaves nothing behind;
    nor does a file that changes meanwhile. TooLateError for a Ctrl-C that comes after the end.
    """
    with letter.path.open("rb") as file:
        upload = _Upload(s3, bucket, letter, file)
        try:
            return _as_put(bucket, letter, upload.run(progress))
        except KeyboardInterrupt:
            if upload.answer is None:
                raise
            raise TooLateError(_as_put(bucket, letter, upload.answer)) from None


def older_options(s3: S3Client, bucket: str, letter: Letter) -> str | None:
    """Return options of another time that lie beside where a file without any is going to be."""
    if letter.sidecar is not None:
        return None
    try:
        answer = s3.get_object(Bucket=bucket, Key=letter.sidecar_key)
    except ClientError:  # as a rule there is none; who may not look is told nothing
        return None
    return answer["Body"].read(LIMITS.sidecar_bytes).decode(errors="replace")


def same_since(s3: S3Client, bucket: str, letter: Letter) -> float | None:
    """Return since when a file of that name and size lies in the inbox; None if none does."""
    try:
        there = s3.head_object(Bucket=bucket, Key=letter.key)
    except ClientError:
        return None
    return there["LastModified"].timestamp() if there["ContentLength"] == letter.size else None


def _as_put(bucket: str, letter: Letter, answer: dict[str, Any]) -> Put:
    version = answer.get("VersionId") or "null"
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    at = parsedate_to_datetime(date).timestamp() if date else 0.0
    return Put(letter.key, at, job_id_of(bucket, letter.key, version))


class _Upload:
    """One upload: which version came of it, whoever else puts the same key there just then."""

    def __init__(self, s3: S3Client, bucket: str, letter: Letter, file: BinaryIO) -> None:
        self._s3, self._bucket, self._letter, self._file = s3, bucket, letter, file
        self._mark = uuid.uuid4().hex
        self._was = self._state()
        self._completing = False
        self.answer: dict[str, Any] | None = None

    def run(self, progress: Callable[[int], None]) -> dict[str, Any]:
        """Upload the file; return S3's answer to the completion."""
        events, name = self._s3.meta.events, self._mark
        events.register(f"before-call.{_COMPLETE}", self._before, unique_id=f"{name}-before")
        events.register(f"after-call.{_COMPLETE}", self._after, unique_id=f"{name}-after")
        try:
            self._s3.upload_fileobj(
                self._file,
                self._bucket,
                self._letter.key,
                ExtraArgs={
                    "ContentType": "application/jsonl",
                    "Metadata": {**self._letter.metadata, _MARK: self._mark},
                },
                Callback=progress,
                Config=_ALWAYS_PARTS,
            )
        except (Exception, KeyboardInterrupt) as error:
            arrived = self.answer or (self._completing and self._find())
            if not arrived or isinstance(error, KeyboardInterrupt):
                raise
        finally:
            events.unregister(f"before-call.{_COMPLETE}", unique_id=f"{name}-before")
            events.unregister(f"after-call.{_COMPLETE}", unique_id=f"{name}-after")
        assert self.answer is not None  # noqa: S101 - there is no other way here
        return self.answer

    def _before(self, **_: Any) -> None:
        if self._state() != self._was:
            path = self._letter.path
            raise CommandError(Code.BAD_NEWS, f"{path} has changed meanwhile; nothing was sent")
        if (options := self._letter.sidecar) is not None:
            # Not sooner: they would stay, and count for the next file of that name.
            self._s3.put_object(Bucket=self._bucket, Key=self._letter.sidecar_key, Body=options)
        self._completing = True

    def _after(self, parsed: dict[str, Any], **_: Any) -> None:
        if "Error" not in parsed:
            self.answer = parsed

    def _find(self) -> bool:
        """Look whether the file has arrived, though S3 could not say so."""
        try:
            answer = self._s3.head_object(Bucket=self._bucket, Key=self._letter.key)
        except (ClientError, BotoCoreError, KeyboardInterrupt) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in _GONE:
                return False
            stopped = isinstance(error, KeyboardInterrupt)
            raise CommandError(
                Code.INTERRUPTED if stopped else Code.LATER,
                f"{'stopped: ' * stopped}S3 did not say whether {self._letter.key} has arrived",
                "look before you send it again, as it would be paid twice: batchwatch watch",
            ) from error
        ours = answer["Metadata"].get(_MARK) == self._mark
        self.answer = dict(answer) if ours else None
        return ours

    def _state(self) -> tuple[int, int]:
        there = self._letter.path.stat()
        return there.st_size, there.st_mtime_ns
