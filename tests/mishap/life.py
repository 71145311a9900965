"""Some batches from their beginning until all is done, by polls, webhooks and archiving in turn.

A process that dies is followed by a new one; nothing else helps it. In the end the checker judges.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
from boto3.dynamodb.types import TypeDeserializer

from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from batchwatch.transfer import Shift
from batchwatch.webhook import Answer
from local.simulator import SimulatedOpenAI
from tests.judge.checker import Outside, faults, faults_so_far
from tests.judge.collect import collect
from tests.mishap.outside import Call, Line, Process, drawn
from tests.signed import SECRET, webhook
from tests.world import KEY, REGION, Clock, as_lambda_sees, aws_in_memory, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from local.simulator import Script
    from tests.world import World

LEASE = 60
"""Seconds that an invocation of the archiver has."""
VISIBILITY = 2 * LEASE
STEPS = (*(20,) * 4, *(VISIBILITY + 10,) * 4, *(1000,) * 30)
"""Seconds between polls: while batches run, until messages return, until orders are repeated."""
BEHIND = 35
"""Seconds by which an answer can be old: it shows a status that was announced as over."""
A_FEW = 4
"""Seconds that OpenAI waits for the answer to a webhook; then it counts as not delivered."""
_ENDS = ("completed", "failed", "expired", "cancelled")
_plain = TypeDeserializer().deserialize
_QUEUE = "BATCHWATCH_ARCHIVE_QUEUE"

Meet: TypeAlias = "Callable[[Life, Call], Any]"


class Life:
    """One run.

    crossings   names of the calls that the service has made, in order
    archivers   which of them, counted from 1, the archiver made
    messages    all that a subscriber has received
    in_hand     the message that the archiver works on
    lags        whether the index shows what it held one query ago
    polled      whether polls come in every round, or never
    told        whether OpenAI tells of ends, as often as it takes to be answered well
    old_until   when OpenAI's answers are no longer from before
    mishaps     how many have happened; each may leave an upload to the bucket's lifecycle
    """

    def __init__(self, world: World, line: Line, meet: Meet) -> None:
        self.world, self.line = world, line
        line.meet = self._cross
        self.crossings: list[str] = []
        self.archivers: set[int] = set()
        self.messages: list[str] = []
        self.batch_ids: list[str] = []
        self.in_hand: Any = None
        self.lags = self.told = False
        self.polled = True
        self.old_until = 0.0
        self.mishaps = 0
        self._left: list[str] = []
        self._answered: set[str] = set()
        self._meet: Meet | None = meet
        self._index: Any = {"Items": [], "Count": 0}
        self._shifts = 0
        self._process = Process(world.runtime)
        self._queue = world.environment[_QUEUE]
        boto3.client("sqs", REGION).set_queue_attributes(
            QueueUrl=self._queue, Attributes={"VisibilityTimeout": str(VISIBILITY)}
        )

    def run(self, scripts: Sequence[Script], *, found: bool = False) -> None:
        """Let batches live, from their beginning until all is done.

        `found`: nobody registers them; the watch has begun before.
        """
        if found:
            self.tick(1)
        for script in scripts:
            self.begin(script, found=found)
        self.recover()

    def recover(self) -> None:
        """Go on until nothing is open any more, and a little longer."""
        for step in STEPS:
            self.tick(step)
            items = [item for item in self._items() if item["batch_id"] in self.batch_ids]
            if len(items) == len(self.batch_ids) and not any("open" in item for item in items):
                break
        self.tick(1000)  # what comes late does no harm

    def begin(self, script: Script, *, found: bool = False) -> None:
        """Let a batch begin, and watch it, unless it is to be found."""
        self.batch_ids.append(self.world.batch(script, found=found))

    def tick(self, seconds: float) -> None:
        """Let time pass; hear what OpenAI tells, poll, and work off the queue."""
        self.world.clock.now += seconds
        if self.told:
            for batch_id in self.batch_ids:
                if batch_id not in self._answered and self._end(batch_id):
                    self.hear(batch_id)
        if self.polled:
            self.poll()
        self.archive()
        self.look()

    def poll(self) -> None:
        """Poll once."""
        with self._at_work() as process:
            process.runtime.poller.poll()

    def hear(self, batch_id: str) -> None:
        """Let OpenAI tell that a batch has ended, be it so or not."""
        clock = self.world.clock
        stop_at = clock.now + A_FEW
        event = webhook(batch_id, clock.now, of=f"batch.{self._end(batch_id) or 'completed'}")
        with self._at_work() as process:
            process.runtime.webhook.sleep = self._sleep
            heard = process.runtime.webhook.hear(event)
            if heard.answer is Answer.TAKEN and clock.now < stop_at and not process.dead:
                self._answered.add(batch_id)

    def archive(self) -> None:
        """Let the archiver have every message that the queue shows."""
        for message in self.world._receive(self._queue):
            self.work(message)

    def work(self, message: Any) -> None:
        """Do with a message what Lambda does: delete it if it is done."""
        before, self.in_hand = self.in_hand, message
        done = False
        with self._at_work() as process:
            self._shifts += 1
            shift = Shift.of(f"shift-{self._shifts}", self.world.clock.now, LEASE)
            report = process.runtime.archiver.work(as_lambda_sees(message), shift)
            done = report.again is None and not process.dead
        self.in_hand = before
        if done:
            self.world._delete(self._queue, message)

    def look(self) -> None:
        """Take the messages that came, and see that nothing with work left is out of the index."""
        self.messages += self.world.messages()
        self._left += faults_so_far(Outside({}, (), self._items(), {}))

    @contextmanager
    def another(self) -> Iterator[None]:
        """Let a second process do what is done in here; no mishap happens to it."""
        settings = Settings.read(self.world.environment)
        runtime = Runtime(settings, clock=self.world.clock, sleep=lambda _: None)
        mine = self._process, self._meet
        self._process, self._meet = Process(runtime), None
        try:
            yield
        finally:
            self._process, self._meet = mine

    def verdict(self) -> list[str]:
        """All that is not as it must be."""
        outside = collect(self.world, self.messages, self.batch_ids)
        bucket = self.world.environment["BATCHWATCH_BUCKET"]
        found = faults(outside, bucket=bucket, secrets=[KEY, SECRET], orphans=self.mishaps)
        return [*dict.fromkeys(self._left), *found]

    @property
    def repeated(self) -> int:
        """How many messages came again, the same to the byte."""
        return len(self.messages) - len(set(self.messages))

    def let(self, call: Call) -> Any:
        """Let a call take place; the index lags if it does, and OpenAI's answers are old if so."""
        old = call.name == "openai.batch" and self.world.clock.now < self.old_until
        answer = self.let_behind(call) if old else call.do()
        if call.name == "dynamodb.Query":
            answer, self._index = (self._index if self.lags else answer), answer
        return answer

    def let_behind(self, call: Call) -> Any:
        """Answer with what was true a while ago, as one of several servers may."""
        self.world.clock.now -= BEHIND
        try:
            return call.do()
        finally:
            self.world.clock.now += BEHIND

    def _end(self, batch_id: str) -> str | None:
        """How a batch has ended at OpenAI, if it has."""
        status = str(self.world.openai.batch(batch_id)["status"])
        return status if status in _ENDS else None

    def _sleep(self, seconds: float) -> None:
        self.world.clock.now += seconds

    @contextmanager
    def _at_work(self) -> Iterator[Process]:
        process = self._process
        with self.line.inside(process), suppress(Exception):  # Lambda would note it, and go on
            yield process
        if process.dead:
            self.world.restart()
            self._process = Process(self.world.runtime)

    def _cross(self, call: Call) -> Any:
        if self._meet is None:
            return self.let(call)
        self.crossings.append(call.name)
        if self.in_hand:
            self.archivers.add(len(self.crossings))
        return self._meet(self, call)

    def _items(self) -> list[dict[str, Any]]:
        """The whole table, as plain values."""
        answer = boto3.client("dynamodb", REGION).scan(TableName="ledger", ConsistentRead=True)
        return [{name: _plain(v) for name, v in item.items()} for item in answer["Items"]]


@contextmanager
def life(meet: Meet, *, tries: int = 3) -> Iterator[Life]:
    """Begin a run, in a world of its own. `tries`: how often a file may come out wrong."""
    line = Line()
    with world_behind(line, tries) as world:
        yield Life(world, line, meet)


@contextmanager
def world_behind(line: Line, tries: int = 3) -> Iterator[World]:
    """Make a world of which every call of the service crosses a line."""
    clock = Clock()
    with TemporaryDirectory() as directory, aws_in_memory():
        openai = SimulatedOpenAI(key=KEY, clock=clock, directory=Path(directory))
        with drawn(line, openai, clock):
            world = build(openai, clock)
            world.environment["BATCHWATCH_TRIES"] = str(tries)
            world.restart()
            try:
                yield world
            finally:
                world.stop()
