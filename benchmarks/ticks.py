"""A tick of Submitter with many open jobs, in memory; each job has three parts that are live."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.job_life import requests
from benchmarks.lambda_time import A_CALL
from benchmarks.life import in_memory
from benchmarks.meter import READS, Counts
from benchmarks.tables import print_table
from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.meter import Meter
    from tests.world import World


class Tick(NamedTuple):
    """What one tick took, of so many jobs; `busy`: seconds of a processor, the stand-in's too."""

    jobs: int
    reads: int
    read_units: float
    busy: float


def measure(sizes: Sequence[int]) -> list[Tick]:
    """Let one job come to life, repeat its items, and tick."""
    ticks = []
    with in_memory("Jobs") as (world, meter):
        job_id = world.drop("three.jsonl", requests(), **{"batchwatch-part-requests": "2"})
        world.submit()
        world.tick()
        world.poll()
        have = 1
        for size in sorted(sizes):
            for number in range(have, size):
                _repeat(job_id, number)
            have = size
            ticks.append(_tick(world, meter, size))
    return ticks


def _repeat(job_id: str, number: int) -> None:
    item = client("dynamodb").get_item(TableName="jobs", Key={"job_id": {"S": job_id}})["Item"]
    again = json.loads(json.dumps(item).replace(job_id, f"{job_id[:-6]}{number:06}"))
    client("dynamodb").put_item(TableName="jobs", Item=again)


def _tick(world: World, meter: Meter, jobs: int) -> Tick:
    world.tick(after=60)
    meter.take()
    busy = time.process_time()
    world.tick(after=60)
    busy = time.process_time() - busy
    counts: Counts = meter.take()
    return Tick(jobs, *counts.of(READS), busy)


def show(ticks: Sequence[Tick]) -> None:
    """Print a table."""
    print(
        "One tick of Submitter at which nothing has changed; each job has three parts, all of them"
        " live.\nReads: calls to DynamoDB, of jobs and of batches, and what they are charged for;"
        " processor: seconds, the\nstand-in of AWS included; waiting: seconds that the reads"
        " would take in Lambda, at 10 ms each"
    )
    rows = [
        [f"{t.jobs:,}", f"{t.reads:,}", f"{t.read_units:,.0f}", f"{t.busy:.1f}",
         f"{t.reads * A_CALL:.1f}"]
        for t in ticks
    ]  # fmt: skip
    print_table(
        ("open jobs", "reads", "read units", "processor, s", "waiting, s"), [rows], words=[]
    )
