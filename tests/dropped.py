"""Files to drop, and what is told of their jobs; minutes that pass as in the deployed service."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from batchwatch.batch import Role
from batchwatch.job_events import JobEvent, read_event
from batchwatch.submit.job import Job, Part, Stage
from batchwatch.submit.unrun import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

MODEL, OTHER = "gpt-5-mini", "gpt-5-nano"
RESPONSES, CHAT = "/v1/responses", "/v1/chat/completions"


def asked(count: int, model: str = MODEL, *, url: str = RESPONSES, first: int = 1) -> bytes:
    """Give so many requests as lines, named `MODEL-1` and so on."""
    requests = (
        {"custom_id": f"{model}-{n}", "method": "POST", "url": url, "body": {"model": model}}
        for n in range(first, first + count)
    )
    return b"".join(json.dumps(request).encode() + b"\n" for request in requests)


def told(world: World) -> list[JobEvent]:
    """Take the events of jobs that a subscriber has received; those of batches are passed over."""
    events = [read_event(message) for message in world.messages()]
    return [event for event in events if isinstance(event, JobEvent)]


def kinds(events: list[JobEvent]) -> list[str]:
    """Say what the events are, in their order."""
    return [event.data.status for event in events]


def minute(world: World, *, seconds: float = 60) -> None:
    """Let time pass, and every function do what it is called for in it."""
    world.poll(after=seconds)
    world.archive()
    world.tick()
    world.submit()


def until(world: World, true: Callable[[], bool], *, most: int = 60, seconds: float = 60) -> None:
    """Let minutes pass until something is so."""
    for _ in range(most):
        if true():
            return
        minute(world, seconds=seconds)
    assert true(), f"not so after {most} minutes"


def finished(world: World, *jobs: str, most: int = 60, seconds: float = 60) -> Job:
    """Let minutes pass until jobs are done; return the last one."""
    done = lambda: all(world.job(job).stage is Stage.DONE for job in jobs)  # noqa: E731
    until(world, done, most=most, seconds=seconds)
    world.tick()  # whoever died before telling is not waited for
    return world.job(jobs[-1])


def merged(world: World, job_id: str, role: Role = Role.OUTPUT) -> list[str]:
    """Return the custom_ids of a merged file, in order; none if there is no such file."""
    found = [v for k, v in world.objects().items() if k.endswith(f"{job_id}/{role}.jsonl")]
    return [json.loads(line)["custom_id"] for content in found for line in content.splitlines()]


def marks(world: World, job_id: str) -> dict[int, list[int]]:
    """Return the rounds that the parts of a job have had at OpenAI, by the marks of batches."""
    rounds = defaultdict(list)
    for made in world.openai.created:
        of, number, turn = ((made.metadata or {}).get(MARK, "//")).split("/")
        if of == job_id:
            rounds[int(number)].append(int(turn))
    return dict(rounds)


def only(job: Job) -> Part:
    """Return the one part of a job."""
    (part,) = job.parts
    return part


def sidecar(world: World, name: str, **options: object) -> None:
    """Put options beside a file that is dropped next."""
    body = json.dumps(options).encode()
    world.runtime.s3.put_object(Bucket="bucket", Key=f"inbox/{name}.options.json", Body=body)
