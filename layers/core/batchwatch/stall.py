"""When a batch seems to stand still. Pure: no clock, no network.

Decided on what the index `open` shows of a batch and on what OpenAI says, so that a batch which
moves as usual costs no read. An end is never inferred: a batch past its deadline is told of, and
watched on.
"""

from typing import Literal, NamedTuple

from batchwatch.batch import Batch, Status
from batchwatch.record import Record

Reason = Literal["validating", "finalizing", "cancelling", "no_progress", "overdue"]

USUAL: dict[Reason, str] = {
    "validating": "seconds to a few minutes",
    "no_progress": "answers every hour; on busy days a small batch may rest for longer",
    "finalizing": "minutes, up to an hour for large batches",
    "cancelling": "up to ten minutes, sometimes an hour",
    "overdue": "an end within half an hour of expires_at",
}


class Limits(NamedTuple):
    """Seconds in a status, without progress, or past `expires_at`, from which on a batch stalls."""

    validating: float = 3600
    in_progress: float = 21_600
    finalizing: float = 7200
    cancelling: float = 7200
    overdue: float = 10_800


class Stall(NamedTuple):
    """Why a batch seems to stand still, for how many whole seconds, and what is usual."""

    reason: Reason
    seconds: int
    usual: str


def stall(known: Record, said: Batch, now: float, limits: Limits) -> Stall | None:
    """Say whether a batch stands still in a status in which that has not been told yet.

    Of `known` it takes only what the index shows. One never seen before cannot stand still.
    """
    if said.status.terminal or not known.moved_at or said.named_status in known.stalled:
        return None
    for reason, since, limit in _clocks(known, said, limits):
        if now - since >= limit:
            return Stall(reason, int(now - since), USUAL[reason])
    return None


def _clocks(known: Record, said: Batch, limits: Limits) -> list[tuple[Reason, float, float]]:
    """What may have lasted too long, since when, and how long it may; what weighs most first."""
    clocks: list[tuple[Reason, float, float]] = []
    if said.expires_at is not None:
        clocks.append(("overdue", said.expires_at, limits.overdue))
    since = known.moved_at if said.status_at is None else said.status_at
    match said.status:
        case Status.VALIDATING:
            clocks.append(("validating", since, limits.validating))
        case Status.IN_PROGRESS:
            moved = max(known.progressed_at, known.moved_at)
            clocks.append(("no_progress", moved, limits.in_progress))
        case Status.FINALIZING:
            clocks.append(("finalizing", since, limits.finalizing))
        case Status.CANCELLING:
            clocks.append(("cancelling", since, limits.cancelling))
    return clocks
