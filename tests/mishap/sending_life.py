"""Some dropped files from their arrival until all is merged, by every function in turn.

Only the calls of Submitter are crossings that a mishap may meet; the others work undisturbed. No
batch is found by discovery: what Submitter does not register, nobody knows of.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from boto3.dynamodb.types import TypeDeserializer

from batchwatch.transfer import Shift
from local.simulator import Pace
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.judge.sent import ENDS, Made, Object, Sent, sent_faults
from tests.mishap.life import LEASE, VISIBILITY, Life, world_behind
from tests.mishap.outside import Line
from tests.world import KEY, REGION, as_lambda_sees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.mishap.outside import Call, Process
    from tests.world import World

ROUNDS = (*(20,) * 5, *(VISIBILITY + 10,) * 4, *(1000,) * 40)
"""Seconds between rounds: while batches run, until messages return, until orders are repeated."""
MARK = "batchwatch_submit"
_plain = TypeDeserializer().deserialize


class Cancelled(NamedTuple):
    """What was answered to a cancellation, and how many batches there were by then."""

    job_id: str
    never_sent: list[int]
    made: int


class Dropping(Life):
    """One run.

    dropped   by its address and version: what a file holds
    jobs      ids of the jobs that are to come of them
    arrivals  bodies of the messages that told of objects
    unlisted  seconds for which the list does not show a new batch
    recalled  whether the run is one in which a second batch may be made, if it is cancelled unrun
    first     what happens to the first request for a batch, whatever else does
    ends      types of events with which a job may end here
    """

    def __init__(self, world: World, line: Line, meet: Callable[[Dropping, Call], Any]) -> None:
        super().__init__(world, line, meet)  # type: ignore[arg-type]
        self.dropped: dict[Object, bytes] = {}
        self.jobs: list[str] = []
        self.arrivals: list[str] = []
        self.unlisted = 0.0
        self.recalled = False
        self.first: str | None = None
        self.ends: tuple[str, ...] = ("job.completed",)
        self.cancelled: list[Cancelled] = []
        self._counted = False
        self._seen: dict[bool, list[tuple[float, Any]]] = {False: [], True: []}
        self._inbox = world.environment["BATCHWATCH_INBOX_QUEUE"]
        world.openai.pace = Pace(validating=10, running=20, finalizing=10)
        boto3.client("sqs", REGION).set_queue_attributes(
            QueueUrl=self._inbox, Attributes={"VisibilityTimeout": str(VISIBILITY)}
        )

    def drop(self, name: str, content: bytes, part_requests: int) -> None:
        """Put a file into the inbox."""
        bucket, key = self.world.environment["BATCHWATCH_BUCKET"], f"inbox/{name}"
        how = {"batchwatch-part-requests": str(part_requests)}
        self.jobs.append(self.world.drop(name, content, **how))
        version = boto3.client("s3", REGION).head_object(Bucket=bucket, Key=key)["VersionId"]
        self.dropped[f"s3://{bucket}/{key}", version] = content

    def recover(self) -> None:
        """Go on until no job and no batch is open; then let S3 tell of all objects once more."""
        for seconds in ROUNDS:
            self.tick(seconds)
            if self._is_over():
                break
        for body in dict.fromkeys(self.arrivals):
            self.tell_again(body)
        self.tick(1000)

    def tick(self, seconds: float) -> None:
        """Let time pass; then let everybody do what there is."""
        self.world.clock.now += seconds
        self.submit()
        self.look_after()
        self.poll()
        self.archive()
        self.look()

    def submit(self) -> None:
        """Let Submitter have every message that its queue shows."""
        for message in self.world._receive(self._inbox):
            self.take(message)

    def take(self, message: Any) -> None:
        """Do with a message what Lambda does: delete it if it is done."""
        if "detail" in json.loads(message["Body"]):
            self.arrivals.append(message["Body"])
        before, self.in_hand = self.in_hand, message
        done = False
        with self._as_submitter() as process:
            self._shifts += 1
            shift = Shift.of(f"shift-{self._shifts}", self.world.clock.now, LEASE)
            report = process.runtime.submitter.work(as_lambda_sees(message), shift)
            done = report.again is None and not process.dead
        self.in_hand = before
        if done:
            self.world._delete(self._inbox, message)

    def look_after(self) -> None:
        """Let the schedule call Submitter."""
        with self._as_submitter() as process:
            process.runtime.desk.tick()

    def cancel(self) -> bool:
        """Let somebody cancel every job; False without an answer."""
        answered = not self.jobs
        for job_id in self.jobs:
            with self._as_submitter() as process:
                answer: Any = process.runtime.by_hand.answer({"cancel": job_id})
                answered = not process.dead
                if answered and "error" not in answer:
                    made = len(self.world.openai.created)
                    told = Cancelled(job_id, answer.get("parts_never_sent", []), made)
                    self.cancelled.append(told)
        self.ends = ENDS[:2]
        return answered

    def tell_again(self, body: str) -> None:
        """Let S3 tell of an object again."""
        boto3.client("sqs", REGION).send_message(QueueUrl=self._inbox, MessageBody=body)

    def let(self, call: Call) -> Any:
        """Let a call take place, with a list or an index that is behind, if it is."""
        openai, now = self.world.openai, self.world.clock.now
        openai.listing.hidden = {b.id for b in openai.created if now < b.at + self.unlisted}
        answer = call.do()
        if call.name == "dynamodb.Query":
            seen = self._seen[self._counted]
            seen.append((now, answer))
            if self.lags:
                nothing = {"Items": [], "Count": 0}
                answer = next((a for at, a in reversed(seen) if at < now), nothing)
        return answer

    def verdict(self) -> list[str]:
        """All that is not as it must be."""
        job_messages = [m for m in self.messages if json.loads(m)["type"].startswith("job.")]
        batch_messages = [m for m in self.messages if m not in job_messages]
        made = self._made()
        ours = [o.batch["id"] for o in made if not (self.recalled and o.recalled)]
        outside = collect(self.world, batch_messages, ours)
        of_batches = {k: v for k, v in outside.objects.items() if _is_of_batches(k)}
        sent = Sent(
            dropped=self.dropped,
            made=made,
            messages=job_messages,
            jobs=self._scanned("jobs"),
            objects=outside.objects,
            dead_letters=self._inbox_dead_letters(),
        )
        return [
            *dict.fromkeys(self._left),
            *sent_faults(sent, self.ends, recalled=self.recalled),
            *self._made_though_cancelled(),
            *faults(replace(outside, objects=of_batches), secrets=[KEY], orphans=self.mishaps),
        ]

    def _made(self) -> list[Made]:
        openai, made = self.world.openai, []
        for created in openai.created:
            batch = openai.batch(created.id)
            ids = {role: batch.get(f"{role}_file_id") for role in ("output", "error")}
            files = {role: openai.file(i).read_bytes() for role, i in ids.items() if i}
            content = openai.file(created.input_file_id).read_bytes()
            made.append(Made(batch, content, files))
        return made

    def _made_though_cancelled(self) -> Iterator[str]:
        for job_id, never_sent, before in self.cancelled:
            marks = [(b.metadata or {}).get(MARK, "") for b in self.world.openai.created[before:]]
            later = [int(mark.split("/")[1]) for mark in marks if mark.startswith(job_id)]
            if len(later) > 1 or set(later) & set(never_sent):
                yield f"told: {job_id}: parts {later} were sent after it was cancelled"

    def _is_over(self) -> bool:
        jobs = self._scanned("jobs")
        items = {item["batch_id"]: item for item in self._items()}
        made = [created.id for created in self.world.openai.created]
        closed = not any("open" in item for item in [*jobs, *items.values()])
        status = [self._end(batch_id) for batch_id in made]
        return len(jobs) == len(self.dropped) and closed and all(status)

    def _inbox_dead_letters(self) -> list[str]:
        queue = self.world.environment["BATCHWATCH_INBOX_DEAD_LETTERS"]
        return [message["Body"] for message in self.world._receive(queue)]

    @contextmanager
    def _as_submitter(self) -> Iterator[Process]:
        before, self._counted = self._counted, True
        try:
            with self._at_work() as process:
                yield process
        finally:
            self._counted = before

    def _cross(self, call: Call) -> Any:
        if self._meet is None or not self._counted:
            return self.let(call)
        self.crossings.append(call.name)
        return self._meet(self, call)

    def _scanned(self, table: str) -> list[dict[str, Any]]:
        answer = boto3.client("dynamodb", REGION).scan(TableName=table, ConsistentRead=True)
        return [{name: _plain(v) for name, v in item.items()} for item in answer["Items"]]


def _is_of_batches(key: str) -> bool:
    return key.startswith("batches/") or (key.startswith("events/") and "/job_" not in key)


@contextmanager
def dropping(meet: Callable[[Dropping, Call], Any]) -> Iterator[Dropping]:
    """Begin a run, in a world of its own."""
    line = Line()
    with world_behind(line) as world:
        world.environment["BATCHWATCH_DISCOVERY"] = "off"
        world.restart()
        yield Dropping(world, line, meet)
