"""What the bucket really holds of a batch, against what the ledger says of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.notify.wording import size
from batchwatch.place import archive_key
from batchwatch.record import FileState, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from batchwatch.batch import Role
    from batchwatch.record import File, Record

_PIECE = 1024 * 1024


class Found(StrEnum):
    """What a look at a file shows.

    whole      it is what the ledger says, to the byte
    missing    the ledger says that it is there, and it is not
    different  something else lies in its place
    gone       it had been archived in vain: OpenAI had it no more
    failed     it had been archived in vain: it came out wrong each time
    elsewhere  the provider keeps it, not we
    awaited    OpenAI is still asked for its id
    pending    it is about to be archived, or being archived
    unknown    it is in a state of a later version
    """

    WHOLE = "whole"
    MISSING = "missing"
    DIFFERENT = "different"
    GONE = "gone"
    FAILED = "failed"
    ELSEWHERE = "elsewhere"
    AWAITED = "awaited"
    PENDING = "pending"
    UNKNOWN = "unknown"

    @property
    def wrong(self) -> bool:
        """Whether it is to be copied again."""
        return self in {Found.MISSING, Found.DIFFERENT, Found.GONE, Found.FAILED}


class Finding(NamedTuple):
    """What was found of one file.

    `why` is in words; `etag` that of an object which is in the way of a copy.
    """

    role: Role
    key: str
    found: Found
    why: str = ""
    etag: str | None = None


_BY_STATE = {
    FileState.ELSEWHERE: Found.ELSEWHERE,
    FileState.AWAITED: Found.AWAITED,
    FileState.PENDING: Found.PENDING,
    FileState.COPYING: Found.PENDING,
    FileState.GONE: Found.GONE,
    FileState.FAILED: Found.FAILED,
}


class Verifying(NamedTuple):
    """Reads archived objects; `tell` is told how many bytes have come, as they come."""

    s3: S3Client
    bucket: str
    tell: Callable[[int], None]

    def look(self, known: Record) -> Iterator[Finding]:
        """Look at each file of a batch; those archived are read from end to end."""
        if known.batch is None:
            return
        for role, file in known.files.items():
            key = archive_key(known.account, known.batch, role)
            if file.state is FileState.ARCHIVED:
                yield self._archived(role, file, key)
            elif file.state in {FileState.GONE, FileState.FAILED}:
                # Where it is known what it is to be, the right one is not in anybody's way.
                known_as = self._archived(role, file, key) if file.bytes is not None else None
                if known_as and known_as.found is Found.WHOLE:
                    why = f"{known_as.why}; though the ledger says {file.state}"
                    yield known_as._replace(why=why)
                    continue
                etag = self._etag(key)
                yield Finding(role, key, _BY_STATE[file.state], file.reason or "", etag)
            elif file.state in _BY_STATE:
                yield Finding(role, key, _BY_STATE[file.state])
            else:
                yield Finding(role, key, Found.UNKNOWN, f"the ledger says {file.state}")

    def _archived(self, role: Role, file: File, key: str) -> Finding:
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        except self.s3.exceptions.NoSuchKey:
            return Finding(role, key, Found.MISSING)
        tally = Tally()
        for piece in answer["Body"].iter_chunks(_PIECE):
            tally = tally.add(piece)
            self.tell(len(piece))
        crc32 = f"{tally.crc32:08x}"
        if (tally.size, tally.lines, crc32) == (file.bytes, file.lines, file.crc32):
            return Finding(role, key, Found.WHOLE, f"{size(tally.size)}, crc32 {crc32}")
        why = (
            f"{tally.size} bytes, {tally.lines} lines, crc32 {crc32};"
            f" the ledger has {file.bytes}, {file.lines}, {file.crc32}"
        )
        return Finding(role, key, Found.DIFFERENT, why, answer["ETag"])

    def _etag(self, key: str) -> str | None:
        """Return the ETag of an object; None where there is none."""
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        except self.s3.exceptions.NoSuchKey:
            return None
        answer["Body"].close()
        return answer["ETag"]
