"""What an invocation did: facts for the log and the metrics, told by the handler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from batchwatch.events import BatchEvent


class Problem(NamedTuple):
    """Something that went wrong, set aside so that the rest could go on."""

    error: BaseException
    account: str | None = None
    batch_id: str | None = None


@dataclass
class Report:
    """The sum of an invocation. `again`: seconds after which unfinished work should be tried."""

    open: int = 0
    events: list[BatchEvent] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    bytes_archived: int = 0
    again: float | None = None

    def __iadd__(self, other: Report) -> Self:
        """Take in another report."""
        self.open += other.open
        self.events += other.events
        self.problems += other.problems
        self.bytes_archived += other.bytes_archived
        waits = [wait for wait in (self.again, other.again) if wait is not None]
        self.again = min(waits) if waits else None
        return self
