"""What an observation changes. Pure: no clock, no network.

A batch only moves forward. Polls skip statuses and nothing is made up for them. A terminal
status is announced once its files are known (or `grace` is over), and never overwritten.

The words: `known` is what the ledger holds, `said` what OpenAI answered, `kept` that answer cut to
what the ledger can hold. A `Witness` is who looks, when, and by which rules.

After the end: up to `grace` the end itself waits for file ids; then it is announced, and for
`LATE_IDS` a missing id is asked for every `HOUR`; then the file counts as gone.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from batchwatch.batch import Batch, Role, Status
from batchwatch.cutting import cut
from batchwatch.events import ArchivedFile, BatchEvent, make_event
from batchwatch.record import Change, File, FileState, Record, ended

HOUR = 3600
LATE_IDS = 24 * HOUR
"""How long a terminal batch stays open for a file id that should be there."""


class Rules(NamedTuple):
    """How to watch: `grace` in seconds; a batch's progress is kept in `progress_steps` steps."""

    source: str
    grace: float = 600
    progress_steps: int = 10


class Witness(NamedTuple):
    """Who looks, when (seconds since 1970), and by which rules."""

    by: str
    now: float
    rules: Rules


def digest(batch: Batch) -> str:
    """Fingerprint of all that makes a transition: not counts, not usage."""
    parts = (batch.raw_status, batch.output_file_id, batch.error_file_id)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def progress(batch: Batch, steps: int) -> int:
    """How many of `steps` equal steps the requests have come."""
    return batch.counts.done * steps // (batch.counts.total or 1) if batch.counts else 0


def watch(known: Record, said: Batch, witness: Witness) -> Change | None:
    """Decide what an observation changes; None where it tells nothing new."""
    kept = Batch.read(cut(said.said))
    if known.terminal:
        return _late_files(known, kept, witness)
    if said.status is Status.UNKNOWN and said.raw_status not in known.unknown:
        return _unknown_status(known, kept, witness)
    if _stale(known, said):
        return None
    same = said.status in {Status.UNKNOWN, known.status}
    if same or _waits_for_ids(known, said, witness):
        return _seen(known, kept, witness)
    return _transition(known, kept, witness)


def _stale(known: Record, said: Batch) -> bool:
    """Whether an answer is from before what we know, be it announced or still waiting."""
    announced = known.status.rank if known.status else Status.UNKNOWN.rank
    shown = known.batch.status.rank if known.batch else Status.UNKNOWN.rank
    return said.status is not Status.UNKNOWN and said.status.rank < max(announced, shown)


def _waits_for_ids(known: Record, said: Batch, witness: Witness) -> bool:
    """Whether a batch that has ended may yet be given the files it should have."""
    return bool(said.missing) and witness.now < (
        _first_seen(known, said, witness) + witness.rules.grace
    )


def _seen(known: Record, kept: Batch, witness: Witness) -> Change | None:
    """No transition: kept if something moved that the next poll can see in the index."""
    mark, steps = digest(kept), progress(kept, witness.rules.progress_steps)
    if mark == known.digest and steps <= known.progress:
        return None
    moved_at = known.moved_at if mark == known.digest else witness.now
    return Change(batch=kept, digest=mark, progress=steps, moved_at=moved_at)


def _first_seen(known: Record, said: Batch, witness: Witness) -> float:
    ours = known.moved_at if digest(said) == known.digest else witness.now
    return min(ours, said.status_at if said.status_at is not None else ours)


def _unknown_status(known: Record, kept: Batch, witness: Witness) -> Change:
    told = _Teller(known, kept, witness)
    told.tell("batch.unknown", status=Status.UNKNOWN, apart=kept.raw_status)
    return Change(
        batch=kept,
        digest=digest(kept),
        moved_at=witness.now,
        unknown=known.unknown | {kept.raw_status},
        events=told.events,
    )


def _transition(known: Record, kept: Batch, witness: Witness) -> Change:
    told = _Teller(known, kept, witness)
    told.tell(f"batch.{kept.status}", status=kept.status)
    return Change(
        batch=kept,
        status=kept.status,
        digest=digest(kept),
        progress=progress(kept, witness.rules.progress_steps),
        moved_at=witness.now,
        files=_files(kept, witness.now) if kept.status.terminal else {},
        events=told.events,
    )


def _files(kept: Batch, now: float) -> dict[Role, File]:
    """Every file that a terminal batch has, should have, or is: its own record."""
    awaited = File(state=FileState.AWAITED, ask_at=now + HOUR, give_up_at=now + LATE_IDS)
    record = File(state=FileState.PENDING)
    return dict.fromkeys(kept.missing, awaited) | _named(kept) | {Role.RECORD: record}


def _named(kept: Batch) -> dict[Role, File]:
    ids = {role: kept.file_id(role) for role in (Role.OUTPUT, Role.ERROR)}
    return {r: File(state=FileState.PENDING, file_id=i) for r, i in ids.items() if i}


def _late_files(known: Record, kept: Batch, witness: Witness) -> Change | None:
    """After the end: take ids that came late, give up on those that never came."""
    awaited = {r: f for r, f in known.files.items() if f.state is FileState.AWAITED}
    if not awaited or known.batch is None:
        return None
    if kept.status is not known.status:
        kept = known.batch  # what is said of another status is not believed; time goes on
    came = {
        role: file
        for role, file in _named(kept).items()
        if role in awaited or role not in known.files
    }
    files = came | {r: _still_awaited(f, witness.now) for r, f in awaited.items() if r not in came}
    if all(known.files.get(role) == file for role, file in files.items()):
        return None
    return Change(
        batch=kept,
        digest=digest(kept),
        moved_at=witness.now if came else None,
        files=files,
        events=_ends(known, kept, files, witness),
    )


def _still_awaited(file: File, now: float) -> File:
    if now >= (file.give_up_at or 0):
        return ended(file, FileState.GONE, reason="its id never came")
    due = now >= (file.ask_at or 0)
    return file.model_copy(update={"ask_at": now + HOUR}) if due else file


def file_ended(known: Record, role: Role, end: File, witness: Witness) -> Change | None:
    """Decide what the end of a file changes; None where it had ended before.

    The write that ends the last file is the one that adds `batch.archived`.
    """
    if known.batch is None or role not in known.files or known.files[role].state.final:
        return None
    files = {role: end}
    return Change(files=files, events=_ends(known, known.batch, files, witness))


def _ends(
    known: Record, batch: Batch, files: Mapping[Role, File], witness: Witness
) -> tuple[BatchEvent, ...]:
    told = _Teller(known, batch, witness)
    for role, file in files.items():
        if file.state in {FileState.GONE, FileState.FAILED}:
            told.tell(f"batch.file_{file.state}", apart=role, files=_shown({role: file}))
    after = known.model_copy(update={"files": {**known.files, **files}})
    if after.archived:
        told.tell("batch.archived", files=_shown(after.files))
    return told.events


def _shown(files: Mapping[Role, File]) -> dict[Role, ArchivedFile]:
    fields = set(ArchivedFile.model_fields)
    return {r: ArchivedFile.model_validate(f.model_dump(include=fields)) for r, f in files.items()}


class _Teller:
    """Numbers the events of one change and links each with the status before it."""

    def __init__(self, known: Record, batch: Batch, witness: Witness) -> None:
        self._known, self._batch, self._witness = known, batch, witness
        self._status = known.last_status
        self.events: tuple[BatchEvent, ...] = ()

    def tell(
        self,
        kind: str,
        *,
        status: Status | None = None,
        apart: str = "",
        files: Mapping[Role, ArchivedFile] | None = None,
    ) -> None:
        """Add an event; its status is the last one told, unless it tells a new one."""
        status_now = status or self._status or Status.UNKNOWN
        event = make_event(
            kind,
            self._batch,
            source=f"{self._witness.rules.source}:{self._known.account}",
            account=self._known.account,
            status=status_now,
            previous_status=self._status,
            sequence=self._known.seq + len(self.events) + 1,
            now=self._witness.now,
            by=self._witness.by,
            apart=apart,
            files=files,
        )
        self.events = (*self.events, event)
        self._status = status_now
