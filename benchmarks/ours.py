"""Our poller as it is deployed, on the table whose names are in the environment."""

from __future__ import annotations

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from pathlib import Path
from threading import Event, Thread, active_count
from typing import TYPE_CHECKING, Any, Self

import boto3

from batchwatch.crew import AT_ONCE
from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from benchmarks.child import answer, peak_bytes, timed
from benchmarks.meter import READS, WRITES, Meter, key_and_indexes
from local.service import ACCOUNT

if TYPE_CHECKING:
    from batchwatch.report import Report

_ROUNDS = 5  # in which every batch must have been found
_FILES = 1024  # open files and connections that a function of Lambda may have
_LOOK_EVERY = 0.05  # seconds between two counts of threads and connections


class Ours:
    """One process of Poller."""

    def __init__(self, table: dict[str, Any] | None = None) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, most), most))
        settings = Settings.read()
        described = table or _described(settings.table)
        self._meter = Meter(*key_and_indexes(described))
        self._runtime = Runtime(settings)

    def poll(self, within: float | None = None) -> dict[str, Any]:
        """Poll once, for so many seconds at most; tell what it took."""
        self._meter.take()
        busy = time.process_time() - self._meter.busy
        with _Crowd() as crowd:
            report, seconds = timed(lambda: self._poll(within))
        busy = time.process_time() - self._meter.busy - busy
        counts = self._meter.take()
        for problem in report.problems[:3]:
            print(f"set aside: {problem.batch_id} {problem.error!r}", file=sys.stderr)
        reads, read_units = counts.of(READS)
        writes, write_units = counts.of(WRITES)
        return {
            "seconds": round(seconds, 3),
            "busy": round(busy, 3),
            "peak_bytes": peak_bytes(),
            "threads": crowd.threads,
            "files": crowd.files,
            "events": len(report.events),
            "left": report.left,
            "problems": len(report.problems),
            "reads": reads,
            "read_units": read_units,
            "writes": writes,
            "write_units": write_units,
            "calls": counts.calls,
        }

    def watch(self, ids: list[str]) -> dict[str, Any]:
        """Poll until every batch is known; register those that a poll did not find by itself."""
        first = self.poll()
        found = len(self._known() & {*ids})
        for _ in range(_ROUNDS):
            missing = {*ids} - self._known()
            if not missing:
                return first | {"found": found}
            for batch_id in sorted(missing):
                self._runtime.ledger.register(ACCOUNT, batch_id)
            self.poll()
        raise RuntimeError(f"{len(missing)} batches are still unknown, after {_ROUNDS} polls")

    def seed(self) -> dict[str, Any]:
        """Write down what polls would have found and told, for every account."""
        from benchmarks.seeding import seed  # noqa: PLC0415 - not in what is measured

        accounts = self._runtime.accounts.all().accounts
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found, seconds = timed(lambda: sum(pool.map(partial(seed, self._runtime), accounts)))
        return {"found": found, "seconds": seconds}

    def _poll(self, within: float | None) -> Report:
        return self._runtime.poller.poll(inf if within is None else time.time() + within)

    def _known(self) -> set[str]:
        """Ids of all batches that have been seen, and of which everything has been told."""
        rows = (row.known for row in self._runtime.ledger.open_rows(ACCOUNT))
        return {known.batch_id for known in rows if known.v and not known.outbox}


def _described(table: str) -> dict[str, Any]:
    return dict(boto3.client("dynamodb").describe_table(TableName=table)["Table"])


class _Crowd:
    """The most threads and open files that this process has while the context lasts."""

    def __init__(self) -> None:
        self.threads = self.files = 0
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            self.threads = max(self.threads, active_count() - 1)  # not this one
            try:
                self.files = max(self.files, sum(1 for _ in Path("/proc/self/fd").iterdir()))
            except OSError:  # there are so many that this cannot be opened
                self.files = _FILES


if __name__ == "__main__":
    ours = Ours()
    answer(poll=ours.poll, watch=ours.watch, seed=ours.seed)
