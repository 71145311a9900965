"""How fast batches come on, and how long they will take. Pure.

The ledger keeps counts in steps (the parameter `ProgressSteps`, a tenth by default), so that a
batch may come on for a while before anything is seen of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchwatch.batch import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.record import Record

_POINTS = 4
_MOST = 10**15  # requests; what a provider counts beyond that is none
_UNSEEN = 90.0
"""Seconds by which the ledger may be behind: OpenAI is asked once a minute."""


class Run(NamedTuple):
    """A batch in progress: `done` of `total` requests at `at`, since `began`; over at `expires`.

    Times are seconds since 1970.
    """

    batch_id: str
    began: float
    at: float
    done: int
    total: int
    expires: float | None


def run_of(known: Record) -> Run | None:
    """What the pace of a batch is told by; None where it is not in progress, or not counted."""
    batch = known.batch
    if batch is None or known.terminal or batch.status is not Status.IN_PROGRESS:
        return None
    if not batch.counts or batch.in_progress_at is None:
        return None
    counts, at = batch.counts, known.progressed_at
    total = counts.total or 0
    return Run(known.batch_id, batch.in_progress_at, at, counts.done, total, batch.expires_at)


class Pace(NamedTuple):
    """Requests a second, and seconds left; None: not to be known."""

    rate: float | None = None
    left: float | None = None


class Paces:
    """How fast each batch comes on: since it began, and once it is watched, of late.

    `steps`: in how many the ledger keeps counts. When the next one is late, the batch has become
    slower, and the time left grows evenly instead of running out.
    """

    def __init__(self, steps: int) -> None:
        self._steps = max(1, steps)
        self._points: dict[str, list[tuple[float, int]]] = {}

    def of(self, runs: Sequence[Run] | None, now: float) -> Pace:
        """Return the pace of a batch or of a job, which takes as long as its slowest part.

        None: there is more to it than can be told.
        """
        each = [self._of(run, now) for run in runs or ()]
        rates = [pace.rate for pace in each if pace.rate is not None]
        lefts = [pace.left for pace in each if pace.left is not None]
        known = runs is not None and len(lefts) == len(each)
        return Pace(sum(rates) if rates else None, max(lefts, default=None) if known else None)

    def _of(self, run: Run, now: float) -> Pace:
        points = self._points.setdefault(run.batch_id, [(run.began, 0)])
        if run.done > points[-1][1] and run.at > points[-1][0]:
            points.append((run.at, run.done))
            del points[:-_POINTS]
        (first, before), (last, by_then) = points[0], points[-1]
        if by_then <= before or run.total > _MOST:
            return Pace()
        step, since = max(1.0, run.total / self._steps), max(0.0, now - last)
        rate = (by_then - before) / (last - first)
        if since > _UNSEEN:
            rate = min(rate, step / (since - _UNSEEN))
        left = (run.total - by_then) / rate - since
        if run.expires is not None:
            left = min(left, run.expires - now)
        return Pace(rate, left if left > 0 else None)
