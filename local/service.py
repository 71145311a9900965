"""The deployed service as its user sees it: a key goes in, events come out."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from batchwatch.errors import BatchwatchError
from batchwatch.events import BatchEvent
from batchwatch.ledger import Ledger
from local.sending import Inbox
from local.simulator import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchwatch.events import ArchivedFile
    from batchwatch.openai import OpenAI
    from batchwatch.record import Record
    from local.emulator import Emulator

ACCOUNT = "default"
_PIECE = 1024 * 1024


class PollError(RuntimeError):
    """Raised when a poll fails as a whole."""


class Found(NamedTuple):
    """An object as it lies in the bucket."""

    size: int
    sha256: str
    crc32: str


@dataclass
class Batch:
    """A batch on the way, as seen from outside.

    `registered`: by us; the service finds the others by itself. `messages` as they came, repeated
    ones too; `events` each once, in sequence, and when each was heard of first, by its id. `ended`:
    the terminal status that its API shows; `unasked`: why the API could not be asked.
    """

    id: str
    name: str
    registered: bool = False
    messages: list[str] = field(default_factory=list)
    events: list[BatchEvent] = field(default_factory=list)
    heard_at: dict[str, float] = field(default_factory=dict)
    record: Record | None = None
    ended: str | None = None
    unasked: str | None = None

    def take(self, message: str, heard_at: float) -> BatchEvent:
        """Take in a message of the topic."""
        event = BatchEvent.model_validate_json(message)
        self.messages.append(message)
        self.heard_at.setdefault(event.id, heard_at)
        by_id = {e.id: e for e in (*self.events, event)}
        self.events = sorted(by_id.values(), key=lambda e: e.data.sequence)
        return event

    def ask(self, openai: OpenAI) -> None:
        """Ask the API itself whether the batch has ended."""
        try:
            said = openai.retrieve(self.id)
        except BatchwatchError as error:
            self.ended, self.unasked = None, str(error)
        else:
            self.ended = str(said.status) if said.status.terminal else None
            self.unasked = None

    @property
    def end(self) -> BatchEvent | None:
        """The event that told of its end."""
        return next((event for event in self.events if event.type == f"batch.{self.ended}"), None)

    @property
    def found(self) -> bool:
        """Whether the service has found it by itself."""
        return bool(self.events) and not self.registered

    @property
    def archived(self) -> bool:
        """Whether the last event of its life has come."""
        return any(event.type == "batch.archived" for event in self.events)

    @property
    def closed(self) -> bool:
        """Whether it has left the open index."""
        return self.record is not None and self.record.settled and not self.record.open

    @property
    def done(self) -> bool:
        """Whether the service has done with it, and has said so."""
        return self.archived and self.closed

    @property
    def files(self) -> dict[str, ArchivedFile]:
        """The files that its last event tells of."""
        return next((e.data.files for e in self.events if e.type == "batch.archived"), None) or {}


class Service:
    """One stack."""

    def __init__(self, emulator: Emulator, outputs: dict[str, str]) -> None:
        self._emulator = emulator
        self.outputs = outputs
        self._lambda = emulator.client("lambda", patience=180)
        self._ledger = Ledger(emulator.client("dynamodb"), outputs["LedgerTable"])
        self._s3 = emulator.client("s3")
        self.variables = emulator.variables

    def put_key(
        self,
        api_key: str,
        base_url: str,
        webhook_secrets: Sequence[str] = (),
        slack_webhook_url: str | None = None,
    ) -> None:
        """Fill in the secret, as the README tells."""
        account: dict[str, object] = {"api_key": api_key, "base_url": base_url}
        if webhook_secrets:
            account["webhook_secrets"] = [*webhook_secrets]
        secret: dict[str, object] = {"accounts": {ACCOUNT: account}}
        if slack_webhook_url:
            secret["slack_webhook_url"] = slack_webhook_url
        self._emulator.client("secretsmanager").put_secret_value(
            SecretId=self.outputs["KeysSecret"], SecretString=json.dumps(secret)
        )

    def endpoint(self, secret: str) -> Endpoint:
        """Where OpenAI's webhooks go; the emulator knows the function by its address's name."""
        host = urlsplit(self.outputs["WebhookUrl"]).netloc
        return Endpoint(f"{self._emulator.endpoint}/", secret, host)

    def track(self, batch_id: str) -> None:
        """Register a batch by the write that the README gives."""
        self._ledger.register(ACCOUNT, batch_id)

    def tick(self) -> dict[str, Any]:
        """Call Poller as the schedule does; PollError if it failed."""
        return self._tick("Poller")

    def look_after_jobs(self) -> dict[str, Any]:
        """Call Submitter as the schedule does; PollError if it failed."""
        return self._tick("Submitter")

    def _tick(self, function: str) -> dict[str, Any]:
        name = self.outputs[f"{function}Function"]
        answer = self._lambda.invoke(FunctionName=name, Payload=b"{}")
        said = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise PollError(f"{function} failed: {said.get('errorMessage', said)}")
        return dict(said)

    def inbox(self) -> Inbox:
        """Where files are dropped that are to be sent."""
        return Inbox(self._emulator, self.outputs)

    def record(self, batch_id: str) -> Record:
        """What the ledger holds of a batch."""
        return self._ledger.get(ACCOUNT, batch_id)

    def stored(self) -> list[str]:
        """The keys of everything in the bucket."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.outputs["BucketName"]
        )
        return [o["Key"] for page in pages for o in page.get("Contents", [])]

    def fetch(self, key: str, to: Path | None = None) -> Found:
        """Read an object from end to end, and leave it in a file if wanted."""
        body = self._s3.get_object(Bucket=self.outputs["BucketName"], Key=key)["Body"]
        size, crc32, sha256 = 0, 0, hashlib.sha256()
        if to:
            to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("wb") if to else _nowhere() as copy:
            for piece in body.iter_chunks(_PIECE):
                size += len(piece)
                crc32 = zlib.crc32(piece, crc32)
                sha256.update(piece)
                copy.write(piece)
        return Found(size, sha256.hexdigest(), f"{crc32:08x}")

    def log(self, *words: str) -> Iterator[str]:
        """Every line of log that has one of the words."""
        pages = (
            self._emulator.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=self.outputs["LogGroup"])
        )
        for page in pages:
            for line in (event["message"] for event in page["events"]):
                if any(word in line for word in words):
                    yield line

    def subscribe(self) -> Subscriber:
        """Subscribe a queue to the topic of events, as any user would."""
        return Subscriber(self._emulator, self.outputs["EventsTopic"])

    def mailbox(self) -> Subscriber:
        """Subscribe a queue to the topic of mails: it gets subject and text, as an address does."""
        topic = self.outputs["NotificationsTopic"]
        return Subscriber(self._emulator, topic, queue="mailbox", raw=False)


class Subscriber:
    """A queue on a topic, read in a thread; every message as it came.

    `raw`: the bare message; else in an envelope of SNS, with its subject.
    `heard_at`: when each message came first, in seconds since 1970, by its text.
    """

    def __init__(
        self, emulator: Emulator, topic: str, *, queue: str = "subscriber", raw: bool = True
    ) -> None:
        sqs = emulator.client("sqs")
        self._sqs = sqs
        self._queue = sqs.create_queue(QueueName=queue)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        arn = arn["Attributes"]["QueueArn"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        emulator.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": str(raw).lower()},
        )
        self.heard_at: dict[str, float] = {}
        self._received: list[str] = []
        self._taken = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def news(self) -> list[str]:
        """The messages that came since the last call."""
        until = len(self._received)
        fresh, self._taken = self._received[self._taken : until], until
        return fresh

    def _listen(self) -> None:
        while not self._stop.is_set():
            answer = self._sqs.receive_message(
                QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                self.heard_at.setdefault(message["Body"], time.time())
                self._received.append(message["Body"])
                self._sqs.delete_message(
                    QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"]
                )


def _nowhere() -> Any:
    return open("/dev/null", "wb")  # noqa: PTH123 - for the caller's `with`
