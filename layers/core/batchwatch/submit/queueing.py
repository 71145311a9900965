"""Which part may be sent now: first in, first out, without running into a limit again. Pure.

Parts of one model are a line, as OpenAI limits what is enqueued by model. Nobody overtakes in a
line that has met its limit, and one part at a time finds out whether there is room again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from batchwatch.submit.job import UNSENT, Part, PartState, Stage
from batchwatch.submit.unrun import Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batchwatch.submit.job import Job

AT_ONCE = 25
"""Batches of a line that may be in validation at once: all of them may fail by a limit."""
VALIDATION = 900
"""Seconds after which a batch is no longer taken for one that may fail in validation."""
FIRST_WAIT, LONGEST_WAIT = 60, 1800
"""Seconds until the first try after a refusal, doubling, up to the longest."""


class Turn(NamedTuple):
    """A part whose turn it is, as it was; `live`: batches of ours in its line, before it."""

    job_id: str
    part: Part
    live: int


class Queue(NamedTuple):
    """Whose turn it is, in order; and the jobs that wait behind a limit."""

    turns: list[Turn]
    behind: set[str]


def backoff(tries: int) -> float:
    """Seconds to wait after so many refusals in a row."""
    return float(min(FIRST_WAIT * 2.0 ** min(tries - 1, 9), LONGEST_WAIT))


def queue_of(jobs: Iterable[Job], now: float) -> Queue:
    """Look through the open jobs of one account."""
    lines: dict[str, list[tuple[Job, Part]]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: job.place):
        if job.stage is Stage.SENDING:
            for part in job.parts:
                lines[part.line].append((job, part))
    queue = Queue([], set())
    everyone = [part for line in lines.values() for _, part in line]
    if any(blocks_account(part, now) for part in everyone):
        return queue
    for line in lines.values():
        _serve(line, queue, now)
    return queue


def blocks_account(part: Part, now: float) -> bool:
    """Whether a part waits for what keeps the whole account from sending."""
    held = part.held
    return bool(part.state in UNSENT and held and held.why.of_account and held.until > now)


def _serve(line: list[tuple[Job, Part]], queue: Queue, now: float) -> None:
    parts = [part for _, part in line]
    live = sum(part.state in {PartState.SENDING, PartState.LIVE} for part in parts)
    young = sum(_may_fail_yet(part, now) for part in parts)
    limited = any(_limited(part) for part in parts)
    room = (1 if limited else AT_ONCE) - young
    waiting = _waiting(line)
    for job, part in waiting:
        blocked = part.state is PartState.PLANNED or not _may_try(part, live, now)
        refused = part.state is PartState.PLANNED and part.held is not None
        if blocked and (refused or not limited):
            continue  # not at OpenAI yet, or not found there; others need not wait for that
        if blocked or room <= 0:
            if limited:
                queue.behind.update([job.job_id, *(other.job_id for other, _ in waiting)])
            return
        queue.turns.append(Turn(job.job_id, part, live))
        live, room = live + 1, room - 1


def _waiting(line: list[tuple[Job, Part]]) -> Iterator[tuple[Job, Part]]:
    return ((job, part) for job, part in line if part.state in UNSENT and not job.cancelled)


def _may_fail_yet(part: Part, now: float) -> bool:
    """Whether a batch may yet fail by the limit, which is seen at the end of its validation."""
    if part.state is PartState.SENDING:
        return True
    young = part.sent_at is not None and now < part.sent_at + VALIDATION
    return part.state is PartState.LIVE and not part.begun and young


def _limited(part: Part) -> bool:
    return part.state in UNSENT and part.held is not None and part.held.why is Why.TOKEN_LIMIT


def _may_try(part: Part, live: int, now: float) -> bool:
    held = part.held
    if held is None or now >= held.until:
        return True
    return held.why is Why.TOKEN_LIMIT and live < held.live
