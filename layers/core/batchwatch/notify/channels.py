"""The ways to people: each takes a digest, or raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from batchwatch.errors import CrowdedError
from batchwatch.notify.blocks import slack_message
from batchwatch.notify.chat import chat_message
from batchwatch.notify.email import email
from batchwatch.notify.slack import Slack

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sns import SNSClient

    from batchwatch.notify.digest import Digest
    from batchwatch.notify.told import Told

BETWEEN_MAILS = 1.0
"""Seconds. SNS cuts an address off for good at more than ten mails a second; boto3 repeats."""


class Channel(Protocol):
    """A way to people; its name is what the table `Told` remembers."""

    @property
    def name(self) -> str:
        """How it is called."""

    def send(self, digest: Digest) -> None:
        """Tell of it."""


class EmailTopic(NamedTuple):
    """The topic `Notifications`; `prices`: by which, told where dollars are."""

    sns: SNSClient
    topic: str
    told: Told
    prices: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    name: str = "email"

    def send(self, digest: Digest) -> None:
        """Send one mail, at least a second after the one before."""
        if not self.told.wait_for_turn(BETWEEN_MAILS, self.clock, self.sleep):
            raise CrowdedError("too many mails at this moment")
        mail = email(digest, prices=self.prices)
        self.sns.publish(TopicArn=self.topic, Subject=mail.subject, Message=mail.text)

    def subscribers(self) -> dict[str, int]:
        """How many addresses have confirmed, and how many have not; SNS tells nobody else."""
        said = self.sns.get_topic_attributes(TopicArn=self.topic)["Attributes"]
        return {
            "confirmed": int(said.get("SubscriptionsConfirmed", 0)),
            "unconfirmed": int(said.get("SubscriptionsPending", 0)),
        }


class ChatTopic(NamedTuple):
    """The topic `Chat`, whose messages Amazon Q Developer shows in Slack and Teams."""

    sns: SNSClient
    topic: str
    name: str = "chat"

    def send(self, digest: Digest) -> None:
        """Post one message."""
        self.sns.publish(TopicArn=self.topic, Message=chat_message(digest))


class SlackChannel(NamedTuple):
    """An incoming webhook of Slack's own, where the secret has one."""

    url: Callable[[], str | None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    name: str = "slack"

    def send(self, digest: Digest) -> None:
        """Post one message."""
        if url := self.url():
            Slack(url, clock=self.clock, sleep=self.sleep).send(slack_message(digest))
