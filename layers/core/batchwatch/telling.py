"""Who looks at a batch, and how what that changes is told."""

from collections.abc import Mapping
from typing import NamedTuple

from batchwatch.batch import Batch, Role, Status
from batchwatch.events import ArchivedFile, BatchEvent, Stalled, make_event
from batchwatch.record import Record
from batchwatch.stall import Limits


class Rules(NamedTuple):
    """How to watch: `grace` and `lost_after` in seconds; progress is kept in `progress_steps`.

    `archive_input`: whether what was asked is archived beside what was answered.
    """

    source: str
    grace: float = 600
    progress_steps: int = 10
    limits: Limits = Limits()
    lost_after: float = 3600
    archive_input: bool = False


class Witness(NamedTuple):
    """Who looks, when (seconds since 1970), and by which rules."""

    by: str
    now: float
    rules: Rules


class Teller:
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
        stalled: Stalled | None = None,
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
            stalled=stalled,
            attempt=self._known.attempt,
        )
        self.events = (*self.events, event)
        self._status = status_now
