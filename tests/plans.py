"""Jobs and their parts as they are planned, without a world around them."""

from __future__ import annotations

from typing import Any

from batchwatch.submit.job import Held, Job, Part, PartState, Stage
from batchwatch.submit.unrun import Why

MODEL, OTHER = "gpt-5-mini", "gpt-5-nano"


def part(number: int = 1, state: str = "uploaded", **known: Any) -> Part:
    """Give a part of a hundred requests; what has been at OpenAI has a file there."""
    said = PartState(state)
    plain: dict[str, Any] = {
        "number": number,
        "endpoint": "/v1/responses",
        "model": MODEL,
        "requests": 100,
        "key": f"inbox-parts/job/worker/{number:04d}.jsonl",
        "size": 10_000,
        "state": said,
        "file_id": None if said is PartState.PLANNED else f"file-{number}",
        "batch_id": f"batch_{number}" if said in {PartState.LIVE, PartState.ENDED} else None,
    }
    return Part(**plain | known)


def limited(until: float = 60, *, live: int = 0, tries: int = 1) -> Held:
    """Give the note of a refusal by the limit of a line."""
    return Held(why=Why.TOKEN_LIMIT, until=until, tries=tries, live=live)


def job(name: str = "a", *parts: Part, arrived: float = 0, **known: Any) -> Job:
    """Give a job whose file has been read; parts are numbered as they come."""
    numbered = tuple(each.but(number=number) for number, each in enumerate(parts, 1))
    plain: dict[str, Any] = {"stage": Stage.SENDING, "account": "default"}
    return Job(
        job_id=name, key=f"inbox/{name}.jsonl", arrived=arrived, parts=numbered, **plain | known
    )
