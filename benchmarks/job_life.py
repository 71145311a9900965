"""A job of three parts in memory: every call to AWS that Submitter makes for it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.life import in_memory
from benchmarks.meter import READS, WRITES, Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

PARTS = 3
_EVERY = 60
_MOST_TICKS = 100


class JobLife(NamedTuple):
    """What Submitter takes for a job; the polls and the copies are those of its batches.

    whole  calls and units, from the file in the inbox to the last event
    tick   of a tick in which nothing happens, while all its batches are live
    idle   of a tick without any job
    """

    parts: int
    whole: dict[str, float]
    tick: dict[str, float]
    idle: dict[str, float]


def live() -> JobLife:
    """Send a file, and count."""
    with in_memory("Jobs") as (world, meter):

        def counted(deed: Callable[[], object]) -> Counter[str]:
            meter.take()
            deed()
            return _kinds(meter.take())

        counted(world.tick)  # the secret, and the connections
        idle = counted(world.tick)
        job_id = world.drop("three.jsonl", requests(), **{"batchwatch-part-requests": "2"})
        whole = counted(world.submit)
        live = counted(world.tick)
        for _ in range(_MOST_TICKS):
            if world.job(job_id).settled:
                return JobLife(PARTS, dict(whole), _of(live, whole), _of(idle, whole))
            world.poll(after=_EVERY)
            world.archive()
            whole += counted(lambda: _ticked(world))
        raise RuntimeError("the job did not come to its end")


def _ticked(world: World) -> None:
    world.tick()
    world.submit()


def _of(some: Counter[str], whole: Counter[str]) -> dict[str, float]:
    return {name: some[name] for name in whole}


def _kinds(counts: Counts) -> Counter[str]:
    """Sum up what is paid for by kinds."""
    calls = counts.calls
    s3 = {name: n for name, n in calls.items() if name.startswith("s3.")}
    gets = sum(n for name, n in s3.items() if name.startswith(("s3.Get", "s3.Head")))
    # An abort costs nothing. The queue's own sends and receives are Lambda's, three a message.
    kinds = {
        "DynamoDB reads": counts.of(READS)[0],
        "DynamoDB read units": counts.of(READS)[1],
        "DynamoDB writes": counts.of(WRITES)[0],
        "DynamoDB write units": counts.of(WRITES)[1],
        "S3 writes": sum(s3.values()) - gets,
        "S3 reads": gets,
        "SQS sends": calls.get("sqs.SendMessage", 0),
        "SNS publishes": calls.get("sns.Publish", 0),
    }
    return Counter(kinds)


def requests() -> bytes:
    """Write a file of as many requests as make three parts of two."""
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
    said = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    lines = [json.dumps({"custom_id": str(n), **said}) for n in range(2 * PARTS)]
    return "\n".join(lines).encode()
