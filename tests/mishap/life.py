"""Some batches from their beginning until all is done, by polls and archiving in turn.

A process that dies is followed by a new one; nothing else helps it. In the end the checker judges.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws

from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from batchwatch.transfer import Shift
from local.simulator import SimulatedOpenAI
from tests.judge.checker import Outside, faults, faults_so_far
from tests.judge.collect import collect
from tests.mishap.outside import Call, Line, Process, drawn
from tests.world import KEY, REGION, Clock, as_lambda_sees, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from local.simulator import Script
    from tests.world import World

LEASE = 60
"""Seconds that an invocation of the archiver has."""
VISIBILITY = 2 * LEASE
STEPS = (*(20,) * 4, *(VISIBILITY + 10,) * 4, *(1000,) * 30)
"""Seconds between polls: while batches run, until messages return, until orders are repeated."""
_plain = TypeDeserializer().deserialize
_QUEUE = "BATCHWATCH_ARCHIVE_QUEUE"

Meet: TypeAlias = "Callable[[Life, Call], Any]"


class Life:
    """One run.

    crossings   names of the calls that the service has made, in order
    messages    all that a subscriber has received
    in_hand     the message that the archiver works on
    lags        whether the index shows what it held one query ago
    mishaps     how many have happened; each may leave an upload to the bucket's lifecycle
    """

    def __init__(self, world: World, line: Line, meet: Meet) -> None:
        self.world, self.line = world, line
        line.meet = self._cross
        self.crossings: list[str] = []
        self.messages: list[str] = []
        self.batch_ids: list[str] = []
        self.in_hand: Any = None
        self.lags = False
        self.mishaps = 0
        self._left: list[str] = []
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
        """Let time pass, poll, and work off the queue."""
        self.world.clock.now += seconds
        self.poll()
        self.archive()
        self.look()

    def poll(self) -> None:
        """Poll once."""
        with self._at_work() as process:
            process.runtime.poller.poll()

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
        found = faults(outside, bucket=bucket, secrets=[KEY], orphans=self.mishaps)
        return [*dict.fromkeys(self._left), *found]

    @property
    def repeated(self) -> int:
        """How many messages came again, the same to the byte."""
        return len(self.messages) - len(set(self.messages))

    def let(self, call: Call) -> Any:
        """Let a call take place, and the index lag if it does."""
        answer = call.do()
        if call.name == "dynamodb.Query":
            answer, self._index = (self._index if self.lags else answer), answer
        return answer

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
        return self._meet(self, call)

    def _items(self) -> list[dict[str, Any]]:
        """The whole table, as plain values."""
        answer = boto3.client("dynamodb", REGION).scan(TableName="ledger", ConsistentRead=True)
        return [{name: _plain(v) for name, v in item.items()} for item in answer["Items"]]


@contextmanager
def life(meet: Meet, *, tries: int = 3) -> Iterator[Life]:
    """Begin a run, in a world of its own. `tries`: how often a file may come out wrong."""
    clock, line = Clock(), Line()
    with TemporaryDirectory() as directory, mock_aws():
        openai = SimulatedOpenAI(key=KEY, clock=clock, directory=Path(directory))
        with drawn(line, openai, clock):
            world = build(openai, clock)
            world.environment["BATCHWATCH_TRIES"] = str(tries)
            world.restart()
            try:
                yield Life(world, line, meet)
            finally:
                world.stop()
