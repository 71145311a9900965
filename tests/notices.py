"""People in the world of a test: a mailbox on Notifications, one on Chat, a channel of Slack."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchwatch.notify.email import Email
from batchwatch.openai import BASE_URL
from local.deploy import read_template
from tests.world import ACCOUNT, KEY, client, subscribe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchwatch.events import BatchEvent
    from batchwatch.notify.notifier import Notified
    from local.simulator.slack import SimulatedSlack
    from tests.world import World

_TEMPLATE = read_template()
_RESOURCES = _TEMPLATE["Resources"]


@dataclass
class People:
    """Everybody who is told, and the queue through which they are."""

    world: World
    slack: SimulatedSlack
    queue: str = ""
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make what the notifier needs, as the template has it; the world has not, by itself."""
        sqs, sns = client("sqs"), client("sns")
        topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("mail", "chat")}
        for name, topic in topics.items():
            sqs.create_queue(QueueName=name)
            subscribe(topic, self._url(name), {"RawMessageDelivery": False})
        sqs.create_queue(QueueName="notify", Attributes={"VisibilityTimeout": "0"})
        self.queue = self._url("notify")
        announced = dict(_RESOURCES["Announced"]["Properties"])
        announced["FilterPolicy"] = {"type": default("NotifyOn").split(",")}
        subscribe(self.world.environment["BATCHWATCH_TOPIC"], self.queue, announced)
        table = dict(_RESOURCES["Told"]["Properties"])
        table = {k: v for k, v in table.items() if not k.startswith(("TimeToLive", "SSE"))}
        client("dynamodb").create_table(TableName="told", **table)
        self.world.environment |= {
            "BATCHWATCH_NOTIFICATIONS": topics["mail"],
            "BATCHWATCH_CHAT": topics["chat"],
            "BATCHWATCH_TOLD": "told",
        }
        self.world.restart()
        self.world.runtime._sleep = self._wait
        self.connect_slack(self.slack.url)

    def connect_slack(self, url: str | None) -> None:
        """Put the address of the channel into the secret, beside the account."""
        account = {"api_key": KEY, "base_url": self.world.openai.base_url or BASE_URL}
        secret: dict[str, Any] = {"accounts": {ACCOUNT: account}}
        self.world.put_secret(json.dumps(secret | ({"slack_webhook_url": url} if url else {})))

    def tell(self, *events: BatchEvent, owner: str = "one") -> Notified:
        """Let the notifier be called with these events, each in a message of its own."""
        return self.call([message(event) for event in events], owner=owner)

    def call(self, messages: Sequence[dict[str, Any]], *, owner: str = "one") -> Notified:
        """Let the notifier be called with these messages."""
        return self.world.runtime.notifier.tell(messages, owner, self.world.clock.now + 60)

    def waiting(self) -> list[dict[str, Any]]:
        """Take the messages that wait in the notify queue, as the notifier would be given them."""
        return [
            {"messageId": str(uuid.uuid4()), "body": body} for body in self.world._take(self.queue)
        ]

    def mails(self) -> list[Email]:
        """Every mail since the last call."""
        said = map(json.loads, self.world._take(self._url("mail")))
        return [Email(envelope["Subject"], envelope["Message"]) for envelope in said]

    def chats(self) -> list[dict[str, Any]]:
        """Every message for chat since the last call."""
        said = map(json.loads, self.world._take(self._url("chat")))
        return [json.loads(envelope["Message"]) for envelope in said]

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.world.clock.now += seconds

    @staticmethod
    def _url(name: str) -> str:
        return str(client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def message(event: BatchEvent) -> dict[str, Any]:
    """A message of the notify queue, as the event source mapping hands it to the function."""
    return {"messageId": str(uuid.uuid4()), "body": event.frozen()}


def default(parameter: str) -> str:
    """The default of a parameter of the template."""
    return str(_TEMPLATE["Parameters"][parameter]["Default"])
