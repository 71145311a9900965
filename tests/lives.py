"""Lives of batches under watch, with the ledger left out."""

from dataclasses import dataclass, field
from typing import Any

from batchwatch.batch import Batch, Role
from batchwatch.ending import file_ended
from batchwatch.events import BatchEvent
from batchwatch.record import ABSENCE, Change, File, FileState, Record, ended
from batchwatch.telling import Rules, Witness
from batchwatch.watch import missed, watch
from tests.builders import BATCH, CREATED, batch

RULES = Rules("urn:batchwatch:stack", grace=600)


def apply(known: Record, change: Change) -> Record:
    """Put a change into a record as the ledger's one write does."""
    apart = {"files", "events", "found"}
    told = set(Change.model_fields) - apart
    moved = {name: to for name in told if (to := getattr(change, name)) is not None}
    if change.batch and change.batch.created_at is not None:
        moved["created_at"] = change.batch.created_at
    if change.found:
        moved |= {name: Record.model_fields[name].default for name in ABSENCE}
    if change.events:
        moved["last_status"] = change.events[-1].data.status
    return known.model_copy(
        update=moved
        | {
            "v": known.v + 1,
            "seq": known.seq + len(change.events),
            "outbox": {**known.outbox, **{e.data.sequence: e.frozen() for e in change.events}},
            "files": {r: f for r, f in {**known.files, **change.files}.items() if f},
        }
    )


@dataclass
class Life:
    """A batch under watch; times are seconds after its creation."""

    known: Record = field(default_factory=lambda: Record(account="default", batch_id=BATCH))
    events: list[BatchEvent] = field(default_factory=list)

    def see(self, status: str, at: float = 0, **said: Any) -> list[str]:
        """Observe the batch; return what is told of it."""
        return self.hear(batch(status, **said), at)

    def hear(self, said: dict[str, Any], at: float = 0) -> list[str]:
        """Observe whatever object; return what is told of it."""
        witness = Witness("poller", CREATED + at, RULES)
        return self._write(watch(self.known, Batch.read(said), witness))

    def miss(self, at: float = 0) -> list[str]:
        """Have OpenAI not know the batch; return what is told of it."""
        return self._write(missed(self.known, Witness("poller", CREATED + at, RULES)))

    def end(self, role: Role, state: FileState = FileState.ARCHIVED, at: float = 0) -> list[str]:
        """Bring a file to its end; return what is told of it."""
        end = ended(self.known.files.get(role, File(state=FileState.PENDING)), state)
        return self._write(
            file_ended(self.known, role, end, Witness("archiver", CREATED + at, RULES))
        )

    def _write(self, change: Change | None) -> list[str]:
        told = change.events if change else ()
        self.events.extend(told)
        self.known = apply(self.known, change) if change else self.known
        return [event.type.removeprefix("batch.") for event in told]

    @property
    def files(self) -> dict[Role, FileState]:
        """How each file stands."""
        return {role: file.state for role, file in self.known.files.items()}


def lived(*statuses: str, **said: Any) -> Life:
    """Give a batch that was seen in each status."""
    life = Life()
    for status in statuses:
        life.see(status, **said)
    return life


def lost() -> Life:
    """Give a batch that was in progress, and then lost."""
    life = lived("in_progress")
    for hour in range(5):
        life.miss(hour * 3600)
    return life
