"""Many batches attended to side by side, while there is time and the account answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from math import inf
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, TypeVar

from batchwatch.errors import AccessError, OpenAIError, RateLimitedError
from batchwatch.report import Problem, Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from batchwatch.record import Record

T = TypeVar("T")
AT_ONCE = 8
_IN_HAND = 250
"""Batches that wait for their turn with all that was said of them: what a poll holds in memory."""
_IN_A_ROW = 8
"""Requests that may fail one after another, none succeeding, before an account counts as silent."""


class Patience:
    """Whether it is of any use to ask an account more, in this poll.

    over      the error after which it is not
    answered  whether anything was, and well
    """

    def __init__(self) -> None:
        self.over: OpenAIError | None = None
        self.answered = False
        self._failures = 0
        self._lock = Lock()

    def ask(self, question: Callable[[], T]) -> T:
        """Ask, and take the answer into account."""
        try:
            answer = question()
        except OpenAIError as error:
            self._heard(error)
            raise
        self._heard(None)
        return answer

    def _heard(self, error: OpenAIError | None) -> None:
        refused = isinstance(error, AccessError) and error.concerns_all
        with self._lock:
            self.answered = self.answered or error is None
            if error is None or not (error.passing or refused):
                self._failures = 0
                return
            self._failures += 1
            at_once = refused or isinstance(error, RateLimitedError)
            if at_once or (self._failures >= _IN_A_ROW and not self.answered):
                self.over = self.over or error


class Crew:
    """The threads of one poll of one account. Whoever fails does not stop the others."""

    def __init__(self, clock: Callable[[], float], stop_at: float, at_once: int) -> None:
        self._clock = clock
        self._stop_at = stop_at
        self._pool = ThreadPoolExecutor(at_once)
        self._room = BoundedSemaphore(_IN_HAND)
        self._jobs: list[tuple[Record, Future[Report]]] = []
        self._left = 0

    def add(self, known: Record, job: Callable[[], Report]) -> None:
        """Give a batch to whoever is free; wait until there is room."""
        if self._clock() >= self._stop_at or not self._room.acquire(timeout=self._patience()):
            self._left += 1
            return
        future = self._pool.submit(self._in_time, job)
        future.add_done_callback(lambda _: self._room.release())
        self._jobs.append((known, future))

    def finish(self) -> Report:
        """Wait for everybody, but no longer than there is time; sum up."""
        wait((job for _, job in self._jobs), self._patience())
        jobs, self._jobs = self._jobs, []
        report, self._left = Report(left=self._left), 0
        for known, future in jobs:
            if not future.done():
                # Whoever still waits for an answer is not waited for: he writes on his version.
                report.left += 1
            elif error := future.exception():
                report.problems.append(Problem(error, known.account, known.batch_id))
            else:
                report += future.result()
        return report

    def leave(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _patience(self) -> float | None:
        return None if self._stop_at == inf else self._seconds()

    def _seconds(self) -> float:
        return max(0, self._stop_at - self._clock())

    def _in_time(self, job: Callable[[], Report]) -> Report:
        return Report(left=1) if self._clock() >= self._stop_at else job()
