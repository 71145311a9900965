"""One file on its way from OpenAI into the bucket: in parts, from where the last try came to.

Each step is noted before it matters: the upload before its first part; the parts and the checksum
every few of them, whenever a try ends early, and before the object is made visible. A part is sent
while the next one is gathered; it counts once S3 has it, and no thread outlives the try.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from batchwatch.errors import (
    BadUploadError,
    LostLeaseError,
    NoResumeError,
    OutOfTimeError,
    ShortDownloadError,
)
from batchwatch.record import Tally, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

    from batchwatch.archive import Archive, Part, Stored


class Source(Protocol):
    """What is copied. `size` in bytes, None where nobody says; `etag`: a strong one or None."""

    size: int | None
    etag: str | None

    def read(self, start: int = 0) -> Iterator[bytes]:
        """Read from byte `start` on."""


NOTE_EVERY = 8
"""Parts between two notes: these, and those under way, a killed worker's heir fetches again."""
AT_ONCE = 4
"""Parts under way while the next is gathered. Each takes its size of memory, and a thread."""


class Copying(NamedTuple):
    """A try to copy one file.

    `note` keeps an upload where the next try finds it, or forgets it (None); `late` says whether
    the time is up.
    """

    archive: Archive
    key: str
    note: Callable[[Upload | None], None]
    late: Callable[[], bool]

    def settle(self, upload: Upload) -> Stored | None:
        """Make an upload visible that lacks nothing more, without asking OpenAI for anything."""
        if upload.done.size != upload.size:
            return None
        try:
            if (parts := self._noted_parts(upload)) is None:  # completed, and the answer was lost?
                return self.archive.found(self.key, upload.done, certain=False)
            return self.archive.complete(self.key, upload.id, parts, upload.done)
        except (BadUploadError, ShortDownloadError):
            self._forget(upload)
            raise

    def copy(self, source: Source, upload: Upload | None) -> Stored:
        """Copy what is missing of a file. When this returns, the object is there, and whole."""
        if upload and source.size is None:
            source.size = upload.size  # told by an answer, if not by the metadata
        part_bytes = self.archive.part_bytes(source.size)
        if upload and upload.size is not None and upload.size == source.size:
            parts = self._noted_parts(upload)
            if parts is not None:
                pieces = self._gather(source, upload.done.size, part_bytes)
                return self._send(source, upload, parts, pieces)
        if upload:
            self._forget(upload)
        pieces = self._gather(source, 0, part_bytes)
        first = next(pieces, b"")
        if len(first) < part_bytes:
            _verify(Tally().add(first), source.size)
            return self.archive.put_file(self.key, first)
        upload = Upload(id=self.archive.begin(self.key), size=source.size, etag=source.etag)
        self.note(upload)
        return self._send(source, upload, [], chain([first], pieces))

    def _noted_parts(self, upload: Upload) -> list[Part] | None:
        """Return the parts noted; None where S3 does not have them (any more)."""
        listed = self.archive.parts(self.key, upload.id)
        if listed is None:
            return None
        parts = [listed[n] for n in range(1, upload.parts + 1) if n in listed]
        return parts if sum(part.size for part in parts) == upload.done.size else None

    def _gather(self, source: Source, start: int, size: int) -> Iterator[bytes]:
        """Gather a stream into parts of exactly `size` bytes, the last one shorter."""
        held: list[bytes] = []
        lacks = size
        for chunk in source.read(start):
            rest = chunk
            while len(rest) >= lacks:
                held.append(rest[:lacks])
                part, rest = b"".join(held), rest[lacks:]
                held, lacks = [], size
                yield part
            held.append(rest)
            lacks -= len(rest)
            self._must_have_time()
        if lacks < size:
            yield b"".join(held)

    def _send(
        self, source: Source, upload: Upload, parts: list[Part], pieces: Iterable[bytes]
    ) -> Stored:
        begun_at = upload.parts
        try:
            with closing(self._put(upload, pieces)) as sent:
                for part in sent:
                    parts.append(part)
                    more = {"parts": upload.parts + 1, "done": upload.done + part.tally}
                    upload = upload.model_copy(update=more)
                    if source.size is not None and upload.done.size > source.size:
                        break
                    if upload.parts % NOTE_EVERY == 0:
                        self.note(upload)
            _verify(upload.done, source.size)
            self.note(upload)
            return self.archive.complete(self.key, upload.id, parts, upload.done)
        except (NoResumeError, ShortDownloadError, BadUploadError):
            self._forget(upload)
            raise
        except LostLeaseError:
            raise
        except Exception:
            if upload.parts > begun_at:
                self.note(upload)
            raise

    def _put(self, upload: Upload, pieces: Iterable[bytes]) -> Generator[Part]:
        """Send pieces as parts while the next is gathered; give each that S3 has, in order.

        What ends the gathering is raised behind the parts that are under way; a part that failed,
        in its turn: what was sent behind it does not count.
        """
        under_way: deque[Future[Part]] = deque()
        with ThreadPoolExecutor(AT_ONCE, "part") as sender:
            try:
                for number, piece in enumerate(pieces, upload.parts + 1):
                    yield from _sent(under_way, but=AT_ONCE - 1)
                    self._must_have_time()  # that may have taken long
                    put = self.archive.put_part
                    under_way.append(sender.submit(put, self.key, upload.id, number, piece))
            except Exception:
                yield from _sent(under_way)
                raise
            else:
                yield from _sent(under_way)
            finally:
                under_way.clear()  # else errors and parts hold each other in memory, in a circle

    def _must_have_time(self) -> None:
        if self.late():
            raise OutOfTimeError("the time of this invocation was over")

    def _forget(self, upload: Upload) -> None:
        """Begin anew next time: first in the note, as a dead upload in it would never be left."""
        self.note(None)
        self.archive.abort(self.key, upload.id)


def _sent(under_way: deque[Future[Part]], but: int = 0) -> Iterator[Part]:
    """Wait for all parts under way but the last few; one that failed stays the first."""
    while len(under_way) > but:
        yield under_way[0].result()
        under_way.popleft()


def _verify(tally: Tally, expected: int | None) -> None:
    if expected is not None and tally.size != expected:
        raise ShortDownloadError(f"got {tally.size} of {expected} bytes")
