"""Events out of the outbox: to SNS, and to the bucket as objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from batchwatch.events import BatchEvent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

ALREADY_THERE = "PreconditionFailed"


class Publisher:
    """The topic everybody subscribes to, and the memory of all it was ever told."""

    def __init__(self, sns: SNSClient, s3: S3Client, *, topic: str, bucket: str) -> None:
        self._sns, self._s3 = sns, s3
        self._topic, self._bucket = topic, bucket

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

    def keep(self, frozen: str) -> None:
        """Keep an event as an object, once: `events/ACCOUNT/BATCH/0001-batch.completed.json`."""
        event = BatchEvent.model_validate_json(frozen)
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=event_key(event),
                Body=frozen.encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != ALREADY_THERE:
                raise


def event_key(event: BatchEvent) -> str:
    """Where an event is kept in the bucket."""
    data = event.data
    return f"events/{data.account}/{event.subject}/{data.sequence:04d}-{event.type}.json"
