"""Our poller as it is deployed, on the table whose names are in the environment."""

from __future__ import annotations

import sys
from typing import Any

import boto3

from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from benchmarks.child import answer, peak_bytes, timed
from benchmarks.meter import READS, WRITES, Meter, key_and_indexes
from local.service import ACCOUNT

_ROUNDS = 5  # in which every batch must have been found


class Ours:
    """One process of Poller."""

    def __init__(self) -> None:
        settings = Settings.read()
        described = boto3.client("dynamodb").describe_table(TableName=settings.table)["Table"]
        self._meter = Meter(*key_and_indexes(dict(described)))
        self._runtime = Runtime(settings)

    def poll(self) -> dict[str, Any]:
        """Poll once; tell what it took."""
        self._meter.take()
        report, seconds = timed(self._runtime.poller.poll)
        counts = self._meter.take()
        for problem in report.problems[:3]:
            print(f"set aside: {problem.batch_id} {problem.error!r}", file=sys.stderr)
        reads, read_units = counts.of(READS)
        writes, write_units = counts.of(WRITES)
        return {
            "seconds": round(seconds, 3),
            "peak_bytes": peak_bytes(),
            "events": len(report.events),
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

    def _known(self) -> set[str]:
        """Ids of all batches that have been seen, and of which everything has been told."""
        rows = (row.known for row in self._runtime.ledger.open_rows(ACCOUNT))
        return {known.batch_id for known in rows if known.v and not known.outbox}


if __name__ == "__main__":
    ours = Ours()
    answer(poll=ours.poll, watch=ours.watch)
