"""Every right of a function is used, and needed: without it, the same rehearsal fails."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from batchwatch.batch import Batch, Role, Status
from batchwatch.ledger import Ledger
from batchwatch.record import Change, File, FileState, Record
from local.deploy import build_layer, deploy, read_template
from local.notices import Notices
from local.run import PARAMETERS
from local.service import ACCOUNT, Service, Subscriber
from local.simulator import Script, SimulatedOpenAI
from local.simulator.slack import SimulatedSlack
from tests.permissions.grants import flat, grants, named, resources
from tests.permissions.shown import why_unseen
from tests.permissions.watched import Names, Watched, unused
from tests.signed import SECRET, webhook
from tests.whole.sending import Sent
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.permissions.grants import Grant

PATIENCE = 180
"""Seconds that a rehearsal may take; it takes twenty, and ends at once where access is denied."""
DENIED = ("AccessDenied", "AuthorizationError", "not authorized")
PAUSE = 0.5
"""Seconds between two looks, each with a tick."""
TWO_PARTS, CUT = 12_000_000, 10_000_000
"""Bytes of a file that is archived in two parts, and after which the second breaks off."""
ENDPOINT = "/v1/embeddings"
DEAD_LETTERS = ("InboxDeadLettersUrl", "ArchiveDeadLettersUrl", "RelayDeadLettersUrl")


def of_functions() -> list[Grant]:
    """Each right of each function."""
    functions = [
        f"{name}Role"
        for name, resource in resources().items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    return [g for g in grants() if g.policy in functions and g.kind == "identity"]


def without(grant: Grant) -> dict[str, Any]:
    """The template with one action on one resource taken out."""
    template = read_template()
    (policy,) = template["Resources"][grant.policy]["Properties"]["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        if named(statement["Resource"]) == grant.resource:
            left = [action for action in flat(statement["Action"]) if action != grant.action]
            statement["Action"] = left or "sts:GetCallerIdentity"
    return template


class Rehearsal:
    """A short run that needs every action: cuts, leftovers, bad messages, a forgotten batch."""

    def __init__(self, emulator: Watched, service: Service, openai: SimulatedOpenAI) -> None:
        self._s3 = emulator.client("s3")
        self._sqs = emulator.client("sqs")
        self._events = emulator.client("events")
        self._ledger = Ledger(emulator.client("dynamodb"), service.outputs["LedgerTable"])
        self._emulator, self._service, self._openai = emulator, service, openai
        self._sent = Sent(emulator, service.outputs)
        self._archived: set[str] = set()
        self._told: set[str] = set()
        self._on_bus: set[str] = set()
        self._ends: set[str] = set()
        self._chat = ""

    def missing(self) -> list[str]:
        """Play it; return what did not happen in time."""
        room = Subscriber(self._emulator, self._service.outputs["ChatTopic"], queue="chat")
        with (
            self._service.subscribe() as listener,  # before anything can be announced
            self._service.mailbox() as mailbox,
            room as chat,
            SimulatedSlack() as slack,
        ):
            self._notices = Notices(mailbox, slack)
            return self._play(listener, chat)

    def _play(self, listener: Subscriber, chat: Subscriber) -> list[str]:
        self._service.put_key(KEY, self._openai.base_url, [SECRET], self._notices.slack.url)
        self._ask_the_bus()
        ended = time.time() - 5000
        cut = self._batch("cut", ended, output_bytes=TWO_PARTS)
        self._spoil(cut, {"cut_after": CUT}, {"cut_after": 0})  # goes on in another try
        other = self._batch("other", ended, output_bytes=TWO_PARTS)
        self._spoil(other, {"cut_after": CUT}, {"whole": True})  # cannot be gone on with
        leftover = self._batch("leftover", ended)
        self._leave_record(leftover)
        for batch_id in (cut, other, leftover):
            self._service.track(batch_id)
        forgotten = self._batch("forgotten", ended)
        self._forget(forgotten)
        for queue in ("ArchiveQueueUrl", "RelayQueueUrl"):
            url = self._service.outputs[queue]
            self._sqs.send_message(QueueUrl=url, MessageBody="neither order nor event")
        heard = self._batch("heard", ended)
        told = self._tell(heard)
        self._sent.drop()
        return told + self._wait(listener, chat, {cut, other, leftover, forgotten, heard})

    def _ask_the_bus(self) -> None:
        """Let a rule give on what comes to the bus."""
        self._rule = self._sqs.create_queue(QueueName="rule")["QueueUrl"]
        self._events.put_rule(Name="ours", EventPattern=json.dumps({"source": ["batchwatch"]}))
        target = {"Id": "rule", "Arn": "arn:aws:sqs:us-east-1:000000000000:rule"}
        self._events.put_targets(Rule="ours", Targets=[target])

    def _batch(self, name: str, created_at: float, **how: Any) -> str:
        script = Script(name=name, endpoint=ENDPOINT, requests=9, ends="completed", **how)
        return self._openai.add(script, created_at=created_at)

    def _spoil(self, batch_id: str, *downloads: dict[str, Any]) -> None:
        """Let the downloads of an output file go wrong, one after the other."""
        file_id = self._openai.batch(batch_id)["output_file_id"]
        for how in downloads:
            self._openai.fault(f"/files/{file_id}/content", **how)

    def _leave_record(self, batch_id: str) -> None:
        """As a try that died after its last write to the bucket."""
        day = time.strftime("%Y-%m-%d", time.gmtime(int(batch_id[6:14], 16)))
        self._s3.put_object(
            Bucket=self._service.outputs["BucketName"],
            Key=f"batches/account={ACCOUNT}/created={day}/{batch_id}/batch.json",
            Body=b"{}",
        )

    def _forget(self, batch_id: str) -> None:
        """As after an order that was lost: announced long ago, its files still to come."""
        said = Batch.read(self._openai.batch(batch_id))
        output = File(state=FileState.PENDING, file_id=said.output_file_id)
        files = {Role.OUTPUT: output, Role.RECORD: File(state=FileState.PENDING)}
        change = Change(batch=said, status=Status.COMPLETED, moved_at=0, files=files)
        self._ledger.write(Record(account=ACCOUNT, batch_id=batch_id), change)

    def _tell(self, batch_id: str) -> list[str]:
        """Let OpenAI say by itself that a batch has ended."""
        event = webhook(batch_id, time.time())
        address = self._service.endpoint(SECRET)
        signed = {n: v for n, v in event["headers"].items() if n.startswith("webhook-")}
        headers = signed | {"host": address.host}
        told = httpx.post(address.url, headers=headers, content=event["body"], timeout=PATIENCE)
        return [] if told.is_success else [f"a webhook was answered by {told.status_code}"]

    def _wait(self, listener: Subscriber, chat: Subscriber, batches: set[str]) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._service.tick()
            if self._sent.left():
                self._sent.tick()
            self._on_bus |= {message["detail"]["id"] for message in self._given_on()}
            self._notices.news()
            self._chat += "".join(chat.news())
            for message in map(json.loads, listener.news()):
                self._told.add(message["id"])
                if message["type"].startswith("job."):
                    self._sent.take(message)
                if message["type"] == "batch.completed":
                    self._ends.add(message["subject"])
                if message["type"] == "batch.archived":
                    self._archived.add(message["subject"])
            left = self._left(batches)
            denied = self._denied()
            if denied or not left:
                break
            time.sleep(PAUSE)
        return denied + left

    def _denied(self) -> list[str]:
        """What the functions were not allowed. Much of it is made good later, by the other one."""
        return list(self._service.log(*DENIED))

    def _left(self, batches: set[str]) -> list[str]:
        return [
            *self._sent.left(),
            *(f"{b} not archived" for b in batches - self._archived),
            *(f"{b} not closed" for b in batches if self._ledger.get(ACCOUNT, b).open),
            *(f"{b} not told by mail and Slack" for b in self._notices.missing(self._ends)),
            *(f"{b} not told in chat" for b in self._ends if b not in self._chat),
            *(f"event {e} not on the bus" for e in self._told - self._on_bus),
            *(f"no bad message in {q}" for q in DEAD_LETTERS if not self._waiting(q)),
            *([] if self._uploads() == 0 else ["an unfinished upload was left behind"]),
        ]

    def _given_on(self) -> Iterator[dict[str, Any]]:
        while messages := self._sqs.receive_message(
            QueueUrl=self._rule, MaxNumberOfMessages=10, VisibilityTimeout=2 * PATIENCE
        ).get("Messages"):
            yield from (json.loads(message["Body"]) for message in messages)

    def _waiting(self, queue: str) -> int:
        said = self._sqs.get_queue_attributes(
            QueueUrl=self._service.outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(said["Attributes"]["ApproximateNumberOfMessages"])

    def _uploads(self) -> int:
        said = self._s3.list_multipart_uploads(Bucket=self._service.outputs["BucketName"])
        return len(said.get("Uploads", []))


def rehearse(emulator: Watched, folder: Path, template: dict[str, Any]) -> list[str]:
    """Deploy a template and play; return what did not happen."""
    with SimulatedOpenAI(key=KEY) as openai:
        layer = build_layer(folder)
        parameters = PARAMETERS | {"Webhooks": "on", "EventBus": "default"}
        outputs = deploy(emulator, layer, parameters=parameters, template=template)
        try:
            return Rehearsal(emulator, Service(emulator, outputs), openai).missing()
        except RuntimeError as crashed:
            return [str(crashed)]


@pytest.mark.deploy
def test_with_all_that_is_allowed_the_rehearsal_succeeds_and_each_right_is_used(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Watched(tmp_path) as emulator:
        missing = rehearse(emulator, tmp_path, read_template())
        wrong = unused(emulator, "rehearsal", record_property)

    assert (missing, wrong) == ([], [])


@pytest.mark.full
@pytest.mark.parametrize("grant", of_functions(), ids=lambda grant: "-".join(grant.key))
def test_without_a_right_the_rehearsal_fails(grant: Grant, tmp_path: Path) -> None:
    with Watched(tmp_path) as emulator:
        missing = rehearse(emulator, tmp_path, without(grant))
        lacked = Names(emulator).used(grant, emulator.seen(), allowed=False)

    needed = why_unseen(grant) is None
    assert (bool(missing), lacked) == (needed, needed)
