"""Archiving anew what is not there of a batch that had been archived. Pure: no clock, no network.

The end of the batch stays announced; what becomes of its files is told again, as a further attempt.
"""

from collections.abc import Collection

from batchwatch.batch import Role
from batchwatch.ending import HOUR
from batchwatch.record import Change, File, FileState, Record


def ask_again(known: Record, roles: Collection[Role], now: float) -> Change | None:
    """Decide to copy some files of a batch once more; `now` in seconds since 1970.

    None where that cannot be: its files have not all found their end, or none of these is ours to
    copy. Whoever writes the change gives the order for the archive; the poller does, if that is
    lost.
    """
    if not (known.terminal and known.archived):
        return None
    files: dict[Role, File | None] = {
        role: _anew(role, file, now)
        for role, file in known.files.items()
        if role in roles and file.state is not FileState.ELSEWHERE
    }
    if not files:
        return None
    # `moved_at`: from now on the archiver has time, before the poller looks after it.
    return Change(files=files, attempt=known.attempt + 1, moved_at=now)


def _anew(role: Role, file: File, now: float) -> File:
    """Forget what became of a file; an id that never came is asked for twice more."""
    if file.file_id or role is Role.RECORD:
        return File(state=FileState.PENDING, file_id=file.file_id)
    return File(state=FileState.AWAITED, ask_at=now, give_up_at=now + HOUR)
