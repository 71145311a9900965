"""What becomes of the files of a batch that has ended. Pure: no clock, no network.

For `LATE_IDS` an id that is missing is asked for every `HOUR`; then the file counts as gone.
"""

import json
from collections.abc import Mapping

from batchwatch.batch import Batch, Role
from batchwatch.events import ArchivedFile, BatchEvent
from batchwatch.record import Change, File, FileState, Record, digest, ended
from batchwatch.telling import Teller, Witness

HOUR = 3600
LATE_IDS = 24 * HOUR
"""How long a terminal batch stays open for a file id that should be there."""
_LONGEST_LOCATION = 1500  # bytes of JSON; an event has room for two


def files_at_end(kept: Batch, witness: Witness) -> dict[Role, File]:
    """Every file that a terminal batch has, should have, or is: its own record; and its input."""
    now = witness.now
    awaited = File(state=FileState.AWAITED, ask_at=now + HOUR, give_up_at=now + LATE_IDS)
    files = dict.fromkeys(kept.missing, awaited) | _named(kept)
    files[Role.RECORD] = File(state=FileState.PENDING)
    if witness.rules.archive_input and (file_id := kept.file_id(Role.INPUT)):
        files[Role.INPUT] = File(state=FileState.PENDING, file_id=file_id)
    return files


def _named(kept: Batch) -> dict[Role, File]:
    """The files that it left: to be fetched by their id, or elsewhere under a path."""
    files = {}
    for role in (Role.OUTPUT, Role.ERROR):
        if file_id := kept.file_id(role):
            files[role] = File(state=FileState.PENDING, file_id=file_id)
        elif blob := kept.blob(role):
            fits = len(json.dumps(blob)) <= _LONGEST_LOCATION
            files[role] = File(state=FileState.ELSEWHERE, location=blob if fits else None)
    return files


def late_files(known: Record, kept: Batch, witness: Witness) -> Change | None:
    """After the end: take ids that came late, give up on those that never came.

    What is said now may show that a file was never due; then it is awaited no longer.
    """
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
    due = kept.missing if _done(kept) >= _done(known.batch) else {*awaited}
    files: dict[Role, File | None] = {
        role: came.get(role) or (_still_awaited(file, witness.now) if role in due else None)
        for role, file in awaited.items()
    }
    files |= came
    if all(known.files.get(role) == file for role, file in files.items()):
        return None
    return Change(
        batch=kept,
        digest=digest(kept),
        moved_at=witness.now if came else None,
        files=files,
        events=_ends(known, kept, files, witness),
    )


def _done(batch: Batch) -> int:
    return batch.counts.done if batch.counts else 0


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
    files: dict[Role, File | None] = {role: end}
    return Change(files=files, events=_ends(known, known.batch, files, witness))


def _ends(
    known: Record, batch: Batch, files: Mapping[Role, File | None], witness: Witness
) -> tuple[BatchEvent, ...]:
    if known.quiet:
        return ()
    told = Teller(known, batch, witness)
    for role, file in files.items():
        if file and file.state in {FileState.GONE, FileState.FAILED}:
            apart = _apart(known.attempt, role)
            told.tell(f"batch.file_{file.state}", apart=apart, files=_shown({role: file}))
    then = {role: file for role, file in {**known.files, **files}.items() if file}
    after = known.model_copy(update={"files": then})
    if after.archived:
        told.tell("batch.archived", apart=_apart(known.attempt), files=_shown(after.files))
    return told.events


def _apart(attempt: int, role: str = "") -> str:
    """Tell events of a further attempt apart from those of the first."""
    return role if attempt == 1 else f"{role}/{attempt}"


def _shown(files: Mapping[Role, File]) -> dict[Role, ArchivedFile]:
    fields = set(ArchivedFile.model_fields)
    return {r: ArchivedFile.model_validate(f.model_dump(include=fields)) for r, f in files.items()}
