"""The service in memory: AWS by moto, made from template.yaml; OpenAI simulated on loopback.

Time is a number that a test moves. What runs is what is deployed: handlers and runtime.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws

from batchwatch.events import BatchEvent
from batchwatch.runtime import Runtime
from batchwatch.settings import Settings
from batchwatch.submit.job import job_id_of
from batchwatch.transfer import Shift
from local.deploy import read_template
from tests.signed import SECRET, webhook

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from batchwatch.record import Record
    from batchwatch.report import Report
    from batchwatch.submit.job import Job
    from batchwatch.submit.submitter import Submitter
    from batchwatch.transfer import Archiver
    from batchwatch.webhook import Heard
    from local.simulator import Script, SimulatedOpenAI

ACCOUNT = "default"
REGION = "us-east-1"
KEY = "sk-simulated"
_QUEUE = "BATCHWATCH_ARCHIVE_QUEUE"
_RESOURCES = read_template()["Resources"]


def aws_in_memory() -> AbstractContextManager[Any]:
    """Stand in for AWS, with one session of boto3 for all: to make one takes longer than a test."""
    return mock_aws(config={"core": {"reset_boto3_session": False}})


@functools.cache
def client(service: str) -> Any:
    """Return a test's own way to AWS; to make one takes longer than most tests."""
    return boto3.client(service, REGION)  # type: ignore[call-overload]


@dataclass
class Clock:
    """Seconds since 1970, moved by hand."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class _Noted(Runtime):
    """A runtime that calls `note` for each request. A client is made when used: it takes long."""

    note: Callable[..., None]

    @cached_property
    def dynamodb(self) -> Any:
        return self._noted(super().dynamodb)

    @cached_property
    def sns(self) -> Any:
        return self._noted(super().sns)

    @cached_property
    def sqs(self) -> Any:
        return self._noted(super().sqs)

    @cached_property
    def s3(self) -> Any:
        return self._noted(super().s3)

    def _noted(self, client: Any) -> Any:
        client.meta.events.register("before-call.*", self.note, unique_id="note")
        return client


@dataclass
class World:
    """Everything a test looks at from outside."""

    openai: SimulatedOpenAI
    clock: Clock
    environment: dict[str, str]
    inbox: str
    calls: list[str] = field(default_factory=list)
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew with nothing in memory, as a fresh process does."""
        if hasattr(self, "runtime"):
            self.stop()
        settings = Settings.read(self.environment)
        self.runtime = runtime = _Noted(settings, clock=self.clock, sleep=lambda _: None)
        runtime.note = self._note

    def stop(self) -> None:
        """Let what is under way come to its end, and close the connections."""
        if "webhook" in vars(self.runtime):
            self.runtime.webhook.pool.shutdown()
        for client in self.runtime._openai.values():
            client.close()

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.append(f"{model.service_model.service_name}.{model.name}")

    def refuse(
        self,
        operation: str,
        code: str,
        *,
        status: int,
        times: int = 1,
        message: str = "as the test wants",
    ) -> None:
        """Let S3 do what it is asked, and then answer `times` times as if it had refused."""
        left = [times]

        def spoil(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
            if left[0]:
                left[0] -= 1
                http_response.status_code = status
                parsed["Error"] = {"Code": code, "Message": message}

        self.runtime.s3.meta.events.register(f"after-call.s3.{operation}", spoil)

    def put_secret(self, text: str) -> None:
        """Fill in the secret."""
        secrets = client("secretsmanager")
        secrets.put_secret_value(SecretId=self.environment["BATCHWATCH_SECRET"], SecretString=text)

    def batch(self, script: Script, *, found: bool = False) -> str:
        """Let a batch begin now, and watch it, unless it is to be found."""
        batch_id = self.openai.add(script, created_at=self.clock.now)
        if not found:
            self.runtime.ledger.register(ACCOUNT, batch_id)
        return batch_id

    def poll(self, *, after: float = 0) -> Report:
        """Poll once, `after` seconds from now."""
        self.clock.now += after
        return self.runtime.poller.poll()

    def hear(self, batch_id: str, of: str = "batch.completed") -> Heard:
        """Let OpenAI tell, signed, that a batch has ended just now."""
        return self.runtime.webhook.hear(webhook(batch_id, self.clock.now, of=of))

    def archive(self) -> list[Report]:
        """Work off the archive queue once; what is not done stays there, for later."""
        return self._worked_off(_QUEUE, self.runtime.archiver)

    def drop(self, name: str, content: bytes, **metadata: str) -> str:
        """Put a file into the inbox; return the id of its job, once the queue tells of it."""
        bucket, key = self.environment["BATCHWATCH_BUCKET"], f"inbox/{name}"
        put = client("s3").put_object(Bucket=bucket, Key=key, Body=content, Metadata=metadata)
        told = {"name": bucket}, {"key": key, "size": len(content), "version-id": put["VersionId"]}
        body = json.dumps(
            {
                "source": "aws.s3",
                "time": datetime.fromtimestamp(self.clock.now, tz=UTC).isoformat(),
                "detail": {"bucket": told[0], "object": told[1]},
            }
        )
        queue = self.environment["BATCHWATCH_INBOX_QUEUE"]
        client("sqs").send_message(QueueUrl=queue, MessageBody=body)
        return job_id_of(bucket, key, put["VersionId"])

    def submit(self) -> list[Report]:
        """Work off the inbox queue once; what is not done stays there, for later."""
        return self._worked_off("BATCHWATCH_INBOX_QUEUE", self.runtime.submitter)

    def tick(self, *, after: float = 0) -> Report:
        """Look after the open jobs once, `after` seconds from now."""
        self.clock.now += after
        return self.runtime.desk.tick()

    def job(self, job_id: str) -> Job:
        """What is known of a job."""
        job = self.runtime.jobs.get(job_id)
        assert job
        return job

    def drop_orders(self) -> list[Any]:
        """Lose what is in the archive queue; return it."""
        return [json.loads(body) for body in self._take(self.environment[_QUEUE])]

    def messages(self) -> list[str]:
        """Every message that a subscriber of the topic has received by now, and not yet taken."""
        return self._take(self.inbox)

    def events(self, batch_id: str | None = None) -> list[BatchEvent]:
        """Messages as events, of one batch if wanted."""
        events = [BatchEvent.model_validate_json(message) for message in self.messages()]
        return [e for e in events if batch_id in (None, e.subject)]

    def record(self, batch_id: str) -> Record:
        """What the ledger holds."""
        return self.runtime.ledger.get(ACCOUNT, batch_id)

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket."""
        bucket = self.environment["BATCHWATCH_BUCKET"]
        pages = self.runtime.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [o["Key"] for page in pages for o in page.get("Contents", [])]
        return {k: self.runtime.s3.get_object(Bucket=bucket, Key=k)["Body"].read() for k in keys}

    def dead_letters(self) -> list[str]:
        """What lies in the dead-letter queue of the archiver."""
        queue = self.environment["BATCHWATCH_ARCHIVE_DEAD_LETTERS"]
        return [message["Body"] for message in self._receive(queue)]

    def _worked_off(self, name: str, worker: Archiver | Submitter) -> list[Report]:
        shift = Shift("worker", self.clock.now + 60)
        queue, reports = self.environment[name], []
        for message in self._receive(queue):
            report = worker.work(as_lambda_sees(message), shift)
            reports.append(report)
            if report.again is None:
                self._delete(queue, message)
            else:  # the wait is over as soon as the test says so, by the next call
                self.runtime.sqs.change_message_visibility(
                    QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )
        return reports

    def _take(self, queue: str) -> list[str]:
        taken = []
        while batch := self._receive(queue):
            for message in batch:
                taken.append(message["Body"])
                self._delete(queue, message)
        return taken

    def _delete(self, queue: str, message: Any) -> None:
        self.runtime.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def _receive(self, queue: str) -> list[Any]:
        answer = self.runtime.sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return list(answer.get("Messages", []))


def as_lambda_sees(message: Any) -> dict[str, Any]:
    """A message of SQS as the event source mapping hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
    }


def build(openai: SimulatedOpenAI, clock: Clock) -> World:
    """Make every resource of the template that the functions use, with the properties it has."""
    wanted = ("ArchiveQueue", "ArchiveDeadLetters", "InboxQueue", "InboxDeadLetters")
    queues = {name: _queue(name) for name in wanted}
    topic = client("sns").create_topic(Name="events")["TopicArn"]
    bucket = "bucket"
    _bucket(bucket)
    for name in ("Ledger", "Jobs"):
        table = {
            k: v for k, v in _properties(name).items() if not k.startswith(("PointInTime", "SSE"))
        }
        client("dynamodb").create_table(TableName=name.lower(), **table)
    secret = client("secretsmanager").create_secret(
        Name="keys", SecretString=_properties("Keys")["SecretString"]
    )
    subscribe(topic, queues["ArchiveQueue"], _properties("EndedBatches"))
    inbox = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    subscribe(topic, inbox, {"RawMessageDelivery": True})
    world = World(
        openai,
        clock,
        {
            "BATCHWATCH_STACK": "test",
            "BATCHWATCH_TABLE": "ledger",
            "BATCHWATCH_BUCKET": bucket,
            "BATCHWATCH_TOPIC": topic,
            "BATCHWATCH_SECRET": secret["ARN"],
            "BATCHWATCH_ARCHIVE_QUEUE": queues["ArchiveQueue"],
            "BATCHWATCH_ARCHIVE_DEAD_LETTERS": queues["ArchiveDeadLetters"],
            "BATCHWATCH_TRIES": "3",
            "BATCHWATCH_JOBS": "jobs",
            "BATCHWATCH_INBOX_QUEUE": queues["InboxQueue"],
            "BATCHWATCH_INBOX_DEAD_LETTERS": queues["InboxDeadLetters"],
        },
        inbox,
    )
    key = {"api_key": KEY, "base_url": openai.base_url, "webhook_secrets": [SECRET]}
    world.put_secret(json.dumps({"accounts": {ACCOUNT: key}}))
    return world


def _properties(name: str) -> dict[str, Any]:
    return dict(_RESOURCES[name]["Properties"])


def _bucket(name: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    versions = _properties("Bucket")["VersioningConfiguration"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versions)


def _queue(name: str) -> str:
    said = _properties(name)
    # Redelivery is a test's own affair: a message not deleted can be received again at once.
    visible = "0" if "VisibilityTimeout" in said else "30"
    sqs = client("sqs")
    made = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": visible})
    return str(made["QueueUrl"])


def subscribe(topic: str, queue: str, properties: dict[str, Any]) -> None:
    """Subscribe a queue to a topic with the properties that the template has."""
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    attributes = {"RawMessageDelivery": str(properties["RawMessageDelivery"]).lower()}
    if "FilterPolicy" in properties:
        attributes["FilterPolicy"] = json.dumps(properties["FilterPolicy"])
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
