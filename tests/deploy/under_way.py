"""Work in every state at which a change of version may find it: begun, held there, let go."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from batchwatch.batch import Role
from local.simulator import Fault, Pace, Script
from local.simulator.lifecycle import file_id
from tests.dropped import CHAT, MODEL, asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.whole.stack import Stack

HELD = {
    "validating": "validating",
    "in_progress": "running",
    "finalizing": "finalizing",
    "cancelling": "finalizing",
}
"""The statuses of a batch that is open, and what of its script takes long there."""
LONG = 50_000.0  # seconds
LARGE = 12_000_000
CUT_AFTER = 9_000_000  # bytes: a part of an upload, and some more
A_LITTLE = 100_000
"""Bytes of an answer that is cut so soon that the rest is not asked for at once."""
_PATIENCE = 300  # seconds, on a machine that has much else to do
_LOOK_EVERY = 0.5  # seconds: who looks all the time keeps the others from their work
_DENIED = {"Effect": "Deny", "Action": "sns:Publish", "Resource": "*"}


@dataclass
class UnderWay:
    """What is under way: `ids` of its batches, the held ones by their status; what holds it."""

    stack: Stack
    held: dict[str, str] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    large: str = ""
    upload: str = ""
    refusals: list[Fault] = field(default_factory=list)

    def begin(self) -> None:
        """Let there be a batch in each status, and a file of which a part is copied."""
        usual = Script(name="held", endpoint=CHAT, requests=4, ends="completed",
                       validating=0.1, running=0.1, finalizing=0.1)  # fmt: skip
        for status, what in HELD.items():
            ends = "cancelled" if status == "cancelling" else "completed"
            longer: dict[str, Any] = {what: LONG}
            self.held[status] = self.stack.watch(replace(usual, ends=ends, **longer))
        self.large = self.stack.openai.add(replace(usual, output_bytes=LARGE))
        self._cut()
        self.stack.service.track(self.large)
        self.ids = [*self.held.values(), self.large]
        until(lambda: self.statuses() == [*HELD], "each status is in the table")
        until(lambda: self._copied() == 1, "the download was cut after a part")
        self.upload = self._upload().id

    def one_more(self) -> None:
        """Let there be a batch that nobody can be told of yet."""
        script = Script(name="untold", endpoint=CHAT, requests=4, ends="completed", running=LONG)
        self.held["untold"] = self.stack.watch(script)
        self.ids.append(self.held["untold"])
        until(lambda: self._record("untold").outbox, "an event waits in an outbox")

    def statuses(self) -> list[str]:
        """In the table: the statuses of those that are held, in the order of a life."""
        return [str(self._record(name).status) for name in HELD]

    def let_go(self) -> None:
        """Let everything go on from where it is."""
        for name, batch_id in self.held.items():
            batch = self.stack.openai.find(batch_id)
            assert batch
            what = HELD.get(name, "running")
            passed = time.time() - batch.created_at - 0.1 * [*HELD.values()].index(what)
            ended: dict[str, Any] = {what: passed}
            batch.script = replace(batch.script, **ended)
        for fault in self.refusals:
            fault.times = 0
        let_parts_go(self.stack)

    def went_on(self) -> bool:
        """Whether the file that was cut was not fetched from its beginning again."""
        path = f"/v1/files/{self._file_id()}/content"
        asked_for = [r.headers.get("range") for r in self.stack.openai.requests if r.path == path]
        return asked_for[0] in {None, "bytes=0-"} and all(
            said and not said.startswith("bytes=0-") for said in asked_for[1:]
        )

    def _cut(self) -> None:
        path = f"GET /v1/files/{self._file_id()}/content"
        self.stack.openai.fault(path, cut_after=CUT_AFTER)
        self.refusals.append(self.stack.openai.fault(path, times=-1, cut_after=A_LITTLE))

    def _file_id(self) -> str:
        return file_id(self.large, "output")

    def _record(self, name: str) -> Any:
        return self.stack.service.record(self.held[name])

    def _upload(self) -> Any:
        return self.stack.service.record(self.large).files[Role.OUTPUT].upload

    def _copied(self) -> int:
        file = self.stack.service.record(self.large).files.get(Role.OUTPUT)
        return file.parts if file else 0


@contextmanager
def held_up(stack: Stack) -> Iterator[None]:
    """Let nobody publish, nor read the archive queue: events and orders stay where they are."""
    functions, iam = stack.emulator.client("lambda"), stack.emulator.client("iam")
    names = [stack.service.outputs[f"{name}Function"] for name in ("Poller", "Submitter")]
    roles = [functions.get_function_configuration(FunctionName=n)["Role"] for n in names]
    roles = [role.rpartition("/")[2] for role in roles]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [_DENIED]})
    (mapping,) = functions.list_event_source_mappings(EventSourceArn=_queue(stack))[
        "EventSourceMappings"
    ]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    for role in roles:
        iam.put_role_policy(RoleName=role, PolicyName="Hold", PolicyDocument=policy)
    try:
        yield
    finally:
        for role in roles:
            iam.delete_role_policy(RoleName=role, PolicyName="Hold")
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def drop(stack: Stack, parts: int) -> bytes:
    """Drop a file of which every two requests are a batch; two may be enqueued, and take long."""
    stack.openai.enqueued_batches = 2
    stack.openai.pace = Pace(running=LONG)
    content = asked(2 * parts, MODEL)
    stack.s3.put_object(
        Bucket=stack.service.outputs["BucketName"],
        Key="inbox/questions.jsonl",
        Body=content,
        Metadata={"batchwatch-part-requests": "2"},
    )
    return content


def let_parts_go(stack: Stack) -> None:
    """Let the batches of dropped files that are enqueued come to their end."""
    for created in stack.openai.created:
        batch = stack.openai.find(created.id)
        assert batch
        if batch.script.running == LONG:
            passed = time.time() - batch.created_at - batch.script.validating
            batch.script = replace(batch.script, running=max(0.1, passed))


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for an outcome."""
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(_LOOK_EVERY)


def _queue(stack: Stack) -> str:
    return stack.service.outputs["ArchiveQueueArn"]
