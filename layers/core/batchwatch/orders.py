"""The archive queue: what to archive, when to try again, what can never be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from batchwatch.batch import safe_id
from batchwatch.errors import BadMessageError, UnsafeIdError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class _Data(BaseModel):
    account: str


class Order(BaseModel):
    """A batch to archive: the part of an event that says which. An event is an order."""

    subject: str
    data: _Data

    @property
    def account(self) -> str:
        """The account of the batch."""
        return self.data.account

    @property
    def batch_id(self) -> str:
        """The id of the batch."""
        return self.subject


def read_order(body: str) -> Order:
    """Read a message of the queue; BadMessageError where it is no order."""
    try:
        order = Order.model_validate_json(body)
        safe_id(order.batch_id)
        safe_id(order.account)
    except (ValidationError, UnsafeIdError) as error:
        raise BadMessageError(f"not an order: {type(error).__name__}") from error
    return order


class DeadLetters:
    """Where messages lie that no try can help, until somebody looks at them."""

    def __init__(self, sqs: SQSClient, queue: str) -> None:
        self._sqs = sqs
        self._queue = queue

    def take(self, message: dict[str, Any]) -> None:
        """Put a message there, as it came."""
        self._sqs.send_message(QueueUrl=self._queue, MessageBody=message["body"] or "-")


class WorkQueue:
    """A queue that is worked off, and its dead letters."""

    def __init__(self, sqs: SQSClient, *, queue: str, dead_letters: str = "") -> None:
        self._sqs = sqs
        self._queue = queue
        self._dead_letters = DeadLetters(sqs, dead_letters)

    def again(self, message: dict[str, Any], seconds: float) -> None:
        """Let a message that was not done come back after `seconds` instead of its timeout."""
        self._sqs.change_message_visibility(
            QueueUrl=self._queue,
            ReceiptHandle=message["receiptHandle"],
            VisibilityTimeout=max(0, round(seconds)),
        )

    def set_aside(self, message: dict[str, Any]) -> None:
        """Put a message that no try can help among the dead letters."""
        self._dead_letters.take(message)


class Orders(WorkQueue):
    """The archive queue."""

    def give(self, account: str, batch_id: str) -> None:
        """Ask for a batch to be archived."""
        order = Order(subject=batch_id, data=_Data(account=account))
        self._sqs.send_message(QueueUrl=self._queue, MessageBody=order.model_dump_json())
