"""The deployed service on the local AWS, watching a simulated OpenAI: what a test needs of both."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from batchwatch.ledger import Ledger
from local.deploy import ROOT, build_layer, deploy
from local.emulator import Emulator
from local.run import PARAMETERS
from local.service import ACCOUNT, Service, Subscriber
from local.simulator import Mischief, SimulatedOpenAI, Webhooks
from tests.judge.checker import Outside, truths
from tests.signed import SECRET
from tests.world import KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.simulator import Script

NOBODY = "batch.unknown"
"""What people are told of unless a test wants more: nothing that happens, so nobody works on it."""
_LOOK_EVERY = 0.2  # seconds
_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


@dataclass
class Stack:
    """One stack; `failed` holds what each tick that failed said."""

    emulator: Emulator
    service: Service
    openai: SimulatedOpenAI
    listener: Subscriber
    folder: Path
    messages: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sqs = self.emulator.client("sqs")
        self.s3 = self.emulator.client("s3")
        self.dynamodb = self.emulator.client("dynamodb")
        self._ledger = Ledger(self.dynamodb, self.service.outputs["LedgerTable"])

    @property
    def session(self) -> int:
        """The session of every process that the emulator has started."""
        assert self.emulator._process
        return self.emulator._process.pid

    def watch(self, script: Script) -> str:
        """Let a batch begin now, and watch it."""
        batch_id = self.openai.add(script)
        self.service.track(batch_id)
        return batch_id

    def webhooks(self, mischief: Mischief, patience: float = 12) -> Webhooks:
        """Who sends OpenAI's webhooks to the function, which has been called once by now."""
        endpoint = self.service.endpoint(SECRET)
        sender = Webhooks(self.openai, endpoint, mischief=mischief, patience=patience)
        assert sender.try_out() == HTTPStatus.OK
        return sender

    @contextmanager
    def ticking(self, every: float = 1, *, jobs: bool = False) -> Iterator[None]:
        """Call Poller again and again, as the schedule does; a tick that fails is noted.

        `jobs`: Submitter, too.
        """
        stop = threading.Event()

        def tick() -> None:
            while not stop.is_set():
                try:
                    self.service.tick()
                    if jobs:
                        self.service.look_after_jobs()
                except RuntimeError as error:
                    self.failed.append(str(error))
                stop.wait(every)

        with ThreadPoolExecutor(1) as pool:
            ticks = pool.submit(tick)
            try:
                yield
            finally:
                stop.set()
        ticks.result()

    def settle(self, seconds: float) -> list[str]:
        """Wait until nothing is left to do; return what still is when the time is over."""
        deadline = time.monotonic() + seconds
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        self.messages += self.listener.news()
        return left

    def outside(self, batch_ids: Iterable[str]) -> Outside:
        """Everything that the run has left behind."""
        return Outside(
            truth=truths(self.openai, batch_ids),
            messages=[*self.messages],
            items=self.items(),
            objects=self.objects(),
            dead_letters=self._bodies(self.service.outputs["ArchiveDeadLettersUrl"]),
            uploads=self.uploads(),
            text=[*self.service.log("")],
        )

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, as plain values."""
        plain = TypeDeserializer().deserialize
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.service.outputs["LedgerTable"], ConsistentRead=True
        )
        rows = [row for page in pages for row in page["Items"]]
        return [{name: plain(value) for name, value in row.items()} for row in rows]

    def objects(self) -> dict[str, list[bytes]]:
        """Every object of the bucket: the content of each of its versions."""
        bucket = self.service.outputs["BucketName"]
        found: dict[str, list[bytes]] = {}
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in page.get("Versions", []):
                which = {"Key": version["Key"], "VersionId": version["VersionId"]}
                content = self.s3.get_object(Bucket=bucket, **which)["Body"].read()
                found.setdefault(version["Key"], []).append(content)
        return found

    def _bodies(self, queue: str) -> list[str]:
        bodies = []
        while messages := self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=600
        ).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return bodies

    def uploads(self) -> int:
        """How many uploads are neither finished nor dropped."""
        said = self.s3.list_multipart_uploads(Bucket=self.service.outputs["BucketName"])
        return len(said.get("Uploads", []))

    def _left(self) -> list[str]:
        """Every open batch, and every message that somebody has yet to read."""
        subscriber = self.sqs.get_queue_url(QueueName="subscriber")["QueueUrl"]
        queues = (self.service.outputs["ArchiveQueueUrl"], subscriber)
        still_open = [row.known.batch_id for row in self._ledger.open_rows(ACCOUNT)]
        return still_open + [f"messages in {q}" for q in queues if self._waiting(q)]

    def _waiting(self, queue: str) -> bool:
        said = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[*_COUNTS])[
            "Attributes"
        ]
        return any(int(said[name]) for name in _COUNTS)


def fresh_seed() -> int:
    """Draw a seed, and print it for whoever wants to know it of a run that failed."""
    seed = random.randrange(10**9)  # noqa: S311 - to be repeated, not secret
    print(f"seed {seed}")  # noqa: T201 - shown where a test fails
    return seed


@contextmanager
def deployed(local_aws: type[Emulator] = Emulator, /, **parameters: str) -> Iterator[Stack]:
    """Deploy the template with IAM enforced, its waits shortened, and fill in the secret."""
    with deployed_from(ROOT, KEY, local_aws, **parameters) as stack:
        yield stack


@contextmanager
def deployed_from(
    tree: Path, key: str, local_aws: type[Emulator] = Emulator, /, **parameters: str
) -> Iterator[Stack]:
    """Do the same with the sources of another release, which lie in `tree`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        layer = stack.enter_context(ThreadPoolExecutor(1)).submit(build_layer, folder, tree)
        emulator = stack.enter_context(local_aws(folder))
        openai = stack.enter_context(SimulatedOpenAI(key=key))
        parameters = {**PARAMETERS, "NotifyOn": NOBODY, **parameters}
        outputs = deploy(emulator, layer.result(), parameters=parameters, tree=tree)
        service = Service(emulator, outputs)
        service.put_key(key, openai.base_url, [SECRET] if "WebhookUrl" in outputs else [])
        listener = stack.enter_context(service.subscribe())
        yield Stack(emulator, service, openai, listener, folder)
        assert openai.errors == []
