"""An archived file brought to this machine: resumed, verified, under its name only when whole.

What has come of a file by a cut or Ctrl-C stays as `NAME.ETAG.part`. By the ETag the rest is asked
for of the same object only; if there is another one by now, all of it comes anew.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from batchwatch.cli.trouble import Code, CommandError, trouble_of
from batchwatch.record import Tally

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from batchwatch.record import File

_PIECE = 256 * 1024  # what is lost at most when something breaks off
_ETAG = re.compile(r'"([A-Za-z0-9-]{1,100})"')  # one that may be part of a file's name


class NotFetchedError(CommandError):
    """Raised when one file cannot be had; others may. `state`: why, in a word."""

    def __init__(
        self, state: str, cause: str, way_out: str = "", code: Code = Code.BAD_NEWS
    ) -> None:
        super().__init__(code, cause, way_out)
        self.state = state


class _OtherObjectError(Exception):
    """Raised when an object is not the one any more of which some has come."""


class Expected(NamedTuple):
    """What the ledger says of an archived file; None: it does not say. `crc32`: eight digits."""

    s3_uri: str
    size: int | None = None
    lines: int | None = None
    crc32: str | None = None

    @classmethod
    def of(cls, file: File) -> Self:
        """Read what is known of a file that is archived."""
        return cls(file.s3_uri or "", file.bytes, file.lines, file.crc32)

    def differs(self, tally: Tally) -> str:
        """Say how what has come differs; empty where it is the file."""
        told = (self.size, self.lines, self.crc32)
        come = (tally.size, tally.lines, f"{tally.crc32:08x}")
        if all(said in {None, is_} for said, is_ in zip(told, come, strict=True)):
            return ""
        return f"{self.s3_uri} has {_spelled(*come)}; the ledger says {_spelled(*told)}"

    def is_in(self, path: Path) -> bool:
        """Whether a file on this machine is this one; its size is looked at first."""
        if self.size not in {None, path.stat().st_size}:
            return False
        with path.open("rb") as file:
            return not self.differs(_measured(file))


class Object:
    """An object of the bucket; all that is read of it is of one version, by its ETag."""

    def __init__(self, s3: S3Client, s3_uri: str, etag: str | None = None) -> None:
        self._s3, self._uri, self.etag = s3, s3_uri, etag
        self._bucket, _, self._key = s3_uri.removeprefix("s3://").partition("/")

    def begin(self, start: int = 0) -> None:
        """Ask for all from byte `start` on. NotFetchedError: it is gone, or not given out."""
        how = {"Range": f"bytes={start}-"} if start else {}
        how |= {"IfMatch": self.etag} if self.etag else {}
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key, **how)  # type: ignore[arg-type]
        except self._s3.exceptions.ClientError as error:
            said = error.response["Error"]
            if said["Code"] in {"PreconditionFailed", "InvalidRange", "412", "416"}:
                raise _OtherObjectError from error
            trouble = trouble_of(error)
            if trouble and trouble.code is not Code.BAD_NEWS:
                raise
            cause = f"{self._uri} cannot be had: {said['Code']}: {said['Message']}"
            raise NotFetchedError("missing", cause) from error
        if start and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
            raise _OtherObjectError
        self.etag, self._body = answer["ETag"], answer["Body"]
        self._at, self._end = start, start + answer["ContentLength"]

    def pieces(self) -> Iterator[bytes]:
        """Read to the end; a cut is gone on from, as long as anything comes between two."""
        while True:
            before = self._at
            try:
                for piece in self._body.iter_chunks(_PIECE):
                    self._at += len(piece)
                    yield piece
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None or trouble.code is not Code.LATER:
                    raise
                if self._at == before:
                    cause = f"{self._uri} broke off after {self._at} bytes: {trouble}"
                    way_out = "run the same command again; what has come is kept"
                    raise CommandError(Code.LATER, cause, way_out) from error
            if self._at >= self._end:
                return
            self.begin(self._at)


class Download:
    """One file on its way to `path`. `seen`: told of each number of bytes that are there."""

    def __init__(
        self, s3: S3Client, expected: Expected, path: Path, seen: Callable[[int], None]
    ) -> None:
        self._s3, self._expected, self._path, self._seen = s3, expected, path, seen

    def run(self, *, force: bool = False) -> int | None:
        """Bring the file; return from which byte on. None: it was there already, whole and right.

        NotFetchedError: another file has its place (unless `force`); what lies in the bucket is
        not what the ledger says, so that nothing is left here of it; or nothing lies there.
        """
        if self._path.exists():
            if self._expected.is_in(self._path):
                return None
            if not force:
                cause = f"{self._path} is there, and is not the archived file; it was left alone"
                raise NotFetchedError("differs", cause, "overwrite it by --force")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for part in self._path.parent.glob(f"{self._path.name}.*.part"):
            start = self._go_on(part)
            if start is not None:
                return start
        self._begin_anew()
        return 0

    def _go_on(self, part: Path) -> int | None:
        """Fetch what an earlier run has left open; None where what it has left is of no use."""
        etag = part.name.removeprefix(f"{self._path.name}.").removesuffix(".part")
        source = Object(self._s3, self._expected.s3_uri, f'"{etag}"')
        with _held(part) as file:
            tally = _measured(file)
            start, same = tally.size, True
            if start != self._expected.size:
                try:
                    source.begin(start)
                    tally = self._receive(source, tally, file)
                except _OtherObjectError:
                    same = False
        if not same or self._expected.differs(tally):
            part.unlink()  # if it is the object that is wrong, a run from its start will say so
            return None
        part.replace(self._path)
        return start

    def _begin_anew(self) -> None:
        source = Object(self._s3, self._expected.s3_uri)
        source.begin()
        etag = _ETAG.fullmatch(source.etag or "")
        name = f"{self._path.name}.{etag[1]}.part" if etag else f"{self._path.name}.part"
        part = self._path.with_name(name)
        with _held(part) as file:
            file.truncate(0)
            try:
                tally = self._receive(source, Tally(), file)
            except _OtherObjectError as error:
                cause = f"{self._expected.s3_uri} was replaced while it was read"
                raise CommandError(Code.LATER, cause, "try again") from error
        if wrong := self._expected.differs(tally):
            part.unlink()
            raise NotFetchedError("wrong", wrong)
        part.replace(self._path)

    def _receive(self, source: Object, tally: Tally, file: BinaryIO) -> Tally:
        self._seen(tally.size)
        for piece in source.pieces():
            file.write(piece)
            tally = tally.add(piece)
            self._seen(tally.size)
        return tally


def stream(
    s3: S3Client,
    expected: Expected,
    write: Callable[[bytes], object],
    seen: Callable[[int], None],
) -> None:
    """Hand on a file piece by piece. NotFetchedError, after the last one: it was another."""
    source, tally = Object(s3, expected.s3_uri), Tally()
    try:
        source.begin()
        for piece in source.pieces():
            tally = tally.add(piece)
            write(piece)
            seen(tally.size)
    except _OtherObjectError as error:
        raise NotFetchedError("wrong", f"{expected.s3_uri} was replaced meanwhile") from error
    if wrong := expected.differs(tally):
        raise NotFetchedError("wrong", wrong)


@contextmanager
def _held(part: Path) -> Iterator[BinaryIO]:
    """Open a part for more to come, for nobody else at the same time."""
    with told_of(part), part.open("a+b") as file:
        if sys.platform != "win32":
            _lock(file, part)
        yield file


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Say which file it is of which the system tells no name, when the disk is full, say."""
    try:
        yield
    except OSError as error:
        if error.filename:
            raise
        cause = f"{path} cannot be written: {error.strerror}"
        raise CommandError(Code.BAD_NEWS, cause, "then run the same command again") from error


def _lock(file: BinaryIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        cause = f"{part} is being written to by another process"
        raise NotFetchedError("busy", cause, "wait for it, or give another folder by -o") from error


def _measured(file: BinaryIO) -> Tally:
    """Read a file from its beginning to its end, where it then stands."""
    file.seek(0)
    tally = Tally()
    for piece in _pieces(file):
        tally = tally.add(piece)
    return tally


def _pieces(file: BinaryIO) -> Iterable[bytes]:
    return iter(lambda: file.read(_PIECE), b"")


def _spelled(size: int | None, lines: int | None, crc32: str | None) -> str:
    said = ((size, "bytes"), (lines, "lines"))
    told = [f"{count} {noun}" for count, noun in said if count is not None]
    return ", ".join([*told, *([f"crc32 {crc32}"] if crc32 else [])])
