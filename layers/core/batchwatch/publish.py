"""The topic everybody subscribes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from batchwatch.errors import RefusedEventError

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from batchwatch.job_events import Event


_REFUSED = {"InvalidParameter", "ParameterValueInvalid", "ValidationException"}


class Publisher:
    """Announces on the topic what was frozen in the outbox."""

    def __init__(self, sns: SNSClient, topic: str) -> None:
        self._sns = sns
        self._topic = topic

    def publish(self, event: Event, frozen: str) -> None:
        """Announce an event as frozen; the same text each time it is repeated.

        RefusedEventError if SNS will never take it: nobody has received it then, nor will.
        """
        try:
            self._sns.publish(
                TopicArn=self._topic,
                Message=frozen,
                Subject=event.headline,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": text}
                    for name, text in event.attributes.items()
                },
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            of_topic = "TopicArn" in error.response["Error"].get("Message", "")
            if code not in _REFUSED or of_topic:
                raise
            raise RefusedEventError(f"SNS refused {event.type}: {code}") from error
