"""The topic everybody subscribes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchwatch.events import BatchEvent

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class Publisher:
    """Announces on the topic what was frozen in the outbox."""

    def __init__(self, sns: SNSClient, topic: str) -> None:
        self._sns = sns
        self._topic = topic

    def publish(self, frozen: str) -> None:
        """Announce an event as frozen; the same text each time it is repeated."""
        event = BatchEvent.model_validate_json(frozen)
        self._sns.publish(
            TopicArn=self._topic,
            Message=frozen,
            Subject=event.headline,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": text}
                for name, text in event.attributes.items()
            },
        )
