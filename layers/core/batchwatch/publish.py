"""The topic everybody subscribes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from batchwatch.events import BatchEvent


class Publisher:
    """Announces on the topic what was frozen in the outbox."""

    def __init__(self, sns: SNSClient, topic: str) -> None:
        self._sns = sns
        self._topic = topic

    def publish(self, event: BatchEvent, frozen: str) -> None:
        """Announce an event as frozen; the same text each time it is repeated."""
        self._sns.publish(
            TopicArn=self._topic,
            Message=frozen,
            Subject=event.headline,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": text}
                for name, text in event.attributes.items()
            },
        )
