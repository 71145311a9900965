"""The results of a job's parts as one file each: the archived files, one behind the other.

It is copied as a file of OpenAI is: in parts, resumed where the last try came to, verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.batch import Role
from batchwatch.copying import Copying
from batchwatch.errors import LostObjectError, ShortDownloadError
from batchwatch.events import moment
from batchwatch.record import File, FileState, Upload, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchwatch.archive import Archive
    from batchwatch.submit.job import Job, Piece

ROLES = (Role.OUTPUT, Role.ERROR)
_NEWLINE = b"\n"


class Joined:
    """Archived files as one stream of bytes; between two of them there is a newline."""

    etag: str | None = None

    def __init__(self, archive: Archive, pieces: list[Piece]) -> None:
        self._archive = archive
        self._pieces: list[tuple[Piece, bytes]] = [
            (piece, b"" if archive.last_byte(piece.key, piece.size) == _NEWLINE else _NEWLINE)
            for piece in pieces
            if piece.size  # an empty file has no line to be ended
        ]
        self.size: int | None = sum(piece.size + len(end) for piece, end in self._pieces)

    def read(self, start: int = 0) -> Iterator[bytes]:
        """Read from byte `start` on."""
        skip = start
        for piece, end in self._pieces:
            if skip < piece.size:
                yield from self._archive.read(piece.key, skip)
            yield from filter(None, [end[max(0, skip - piece.size) :]])
            skip = max(0, skip - piece.size - len(end))


class Merging(NamedTuple):
    """A try to merge. `note` keeps what is known of a merged file."""

    archive: Archive
    job: Job
    note: Callable[[Role, File], None]
    late: Callable[[], bool]

    def merge(self) -> None:
        """Put together what is there of each kind; when this returns, all of it is noted."""
        for role in ROLES:
            pieces = [part.pieces[role] for part in self.job.parts if role in part.pieces]
            file = self.job.merged.get(role) or File(state=FileState.PENDING)
            if pieces and not file.state.final:
                self._merge(role, pieces, file)

    def _merge(self, role: Role, pieces: list[Piece], file: File) -> None:
        def keep(upload: Upload | None) -> None:
            self.note(role, file.model_copy(update={"upload": upload}))

        copying = Copying(self.archive, merged_key(self.job, role), keep, self.late)
        try:
            stored = copying.settle(file.upload) if file.upload else None
            stored = stored or copying.copy(Joined(self.archive, pieces), file.upload)
        except (LostObjectError, ShortDownloadError) as error:  # no other try would end otherwise
            self.note(role, ended(file, FileState.FAILED, reason=str(error)))
            return
        done = ended(
            file,
            FileState.ARCHIVED,
            s3_uri=stored.s3_uri,
            bytes=stored.size,
            lines=stored.lines,
            crc32=stored.crc32,
        )
        self.note(role, done)


def merged_key(job: Job, role: Role) -> str:
    """Return the key of a merged file; the date is that of the dropped one."""
    day = f"{moment(job.arrived):%Y-%m-%d}"
    return f"jobs/account={job.account}/created={day}/{job.job_id}/{role}.jsonl"
