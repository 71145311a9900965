"""One batch's whole life in memory: every call to AWS from its first poll to its last file.

A day of a batch with ten thousand requests, of which some fail, so that it has all its files.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import time
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from moto import mock_aws

from batchwatch.telemetry import logger
from benchmarks.meter import READS, WRITES, Counts, Meter, key_and_indexes
from local.deploy import read_template
from local.simulator import Script, SimulatedOpenAI
from tests.handlers import Context
from tests.world import REGION, Clock, World, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_EVERY = 300  # seconds between two polls here; quiet ones cost the same each, and are taken out
_PAST = 3 * 86_400  # seconds before now at which it begins, so that all of it is past
_SCRIPT = Script(
    name="a day",
    endpoint="/v1/responses",
    requests=10_000,
    ends="completed",
    failed=200,
    validating=900,
    running=80_000,
    finalizing=1200,
    output_bytes=2_000_000,
)
# The hourly look through the table, an empty queue, and a fresh process are no batch's own.
_NOT_OF_A_BATCH = ("dynamodb.Scan", "sqs.ReceiveMessage", "secretsmanager.GetSecretValue")
_READS = [name for name in READS if name != "Scan"]  # as in _NOT_OF_A_BATCH
_FUNCTIONS = Path(__file__).parent.parent / "functions"


class Life(NamedTuple):
    """What one batch takes beyond the polls in which nothing of it changes.

    changes         polls in which something was written
    progress        of these, polls that only noted progress
    progress_…      units of those; not in the others
    calls           to AWS, by service and operation
    item_bytes      its item at the end
    poll_log_bytes  what one quiet poll logs
    metrics         names of those that a quiet poll tells
    """

    events: int
    changes: int
    progress: int
    progress_read_units: float
    progress_write_units: float
    calls: dict[str, int]
    reads: int
    read_units: float
    writes: int
    write_units: float
    item_bytes: int
    poll_log_bytes: int
    metrics: list[str]


def live() -> Life:
    """Let a batch live, and count."""
    with in_memory("Ledger") as (world, meter):
        batch_id = world.batch(_SCRIPT)
        polls = [_counted(meter, world.poll) for _ in range(3)]  # until it is known
        copies = []
        quiet, log = _quiet_poll(world, meter)
        while world.record(batch_id).open:
            if world.clock.now > world.openai.batch(batch_id)["expires_at"] + _EVERY:
                raise RuntimeError("the batch did not come to its end")
            polls.append(_counted(meter, lambda: world.poll(after=_EVERY)))
            copies.append(_counted(meter, world.archive))
        writing = [poll for poll in polls if poll.of(WRITES)[0]]
        only_progress = [poll for poll in writing if "sns.Publish" not in poll.calls]
        progress = _sum(only_progress, quiet, len(only_progress))
        whole = _sum([*polls, *copies], quiet, len(polls))
        reads, read_units = whole.of(_READS)
        writes, write_units = whole.of(WRITES)
        noted_reads, noted_writes = progress.of(_READS)[1], progress.of(WRITES)[1]
        return Life(
            len(world.messages()),
            len(writing),
            len(only_progress),
            noted_reads,
            noted_writes,
            whole.calls,
            reads,
            read_units - noted_reads,
            writes,
            write_units - noted_writes,
            meter.largest_item(),
            len(log.encode()),
            sorted(_metrics(log)),
        )


def _sum(counts: Iterable[Counts], quiet: Counts, polls: int) -> Counts:
    """Add up, and take out what so many quiet polls would have called."""
    calls: dict[str, int] = {name: -number * polls for name, number in quiet.calls.items()}
    units: dict[str, float] = {name: -number * polls for name, number in quiet.units.items()}
    for count in counts:
        for name, number in count.calls.items():
            calls[name] = calls.get(name, 0) + number
        for name, charged in count.units.items():
            units[name] = units.get(name, 0) + charged
    own = {name: n for name, n in calls.items() if n and name not in _NOT_OF_A_BATCH}
    return Counts(own, units)


@contextmanager
def in_memory(table: str) -> Iterator[tuple[World, Meter]]:
    """The service in memory, some days ago; and what it calls, with the units of one table."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # no profile or key of whoever measures
    os.environ["AWS_DEFAULT_REGION"] = REGION
    clock = Clock(time.time() - _PAST)
    with mock_aws(), SimulatedOpenAI(clock=clock) as openai:
        meter = Meter(*key_and_indexes(read_template()["Resources"][table]["Properties"]))
        world = build(openai, clock)
        yield world, meter
        world.stop()


def _counted(meter: Meter, deed: Callable[[], object]) -> Counts:
    meter.take()
    deed()
    return meter.take()


def _quiet_poll(world: World, meter: Meter) -> tuple[Counts, str]:
    """Call the function itself; return what it called, and all that it logged."""
    sys.path.insert(0, str(_FUNCTIONS))
    poller = importlib.import_module("poller")
    written = io.StringIO()
    logger.registered_handler.setStream(written)  # type: ignore[attr-defined]
    with patch.object(poller, "runtime", lambda: world.runtime), redirect_stdout(written):
        counts = _counted(meter, lambda: poller.handler({}, Context("poller")))
    if counts.of(WRITES)[0]:
        raise RuntimeError("this poll was to be a quiet one")
    return counts, written.getvalue()


def _metrics(log: str) -> Iterator[str]:
    for line in map(json.loads, log.splitlines()):
        for told in line.get("_aws", {}).get("CloudWatchMetrics", []):
            yield from (metric["Name"] for metric in told["Metrics"])
