"""A dead-letter queue: looked through without taking anything, and worked off one by one."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from batchwatch.cli.mend.letters import NAMES, letter_of
from batchwatch.cli.trouble import Code, CommandError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from mypy_boto3_sqs import SQSClient

    from batchwatch.cli.mend.letters import Letter
    from batchwatch.cli.stack import Stack

HELD = 120
"""Seconds that a message stays hidden while it is looked at; then it is back by itself."""
WAIT = 1
"""Seconds to wait for a message, so that every server of SQS is asked."""
_AT_ONCE = 10


class Mailbox(NamedTuple):
    """A queue of dead letters, by its URL, and the queue they came from."""

    name: str
    sqs: SQSClient
    url: str
    source: str

    def letters(self) -> list[Letter]:
        """Look at every message, and put all back at once."""
        return [letter_of(self.name, message) for message in self._held()]

    def send_back(self, wanted: Collection[str]) -> Generator[Letter, None, None]:
        """Send messages by their ids back where they came from, each told when it is done.

        Sent first, deleted then: who stops in between leaves it in both, which does no harm.
        """
        with closing(self._held(wanted)) as messages:
            for message in messages:
                letter = letter_of(self.name, message)
                self.sqs.send_message(
                    QueueUrl=self.source,
                    MessageBody=letter.body,
                    MessageAttributes=dict(letter.attributes),
                )
                self._delete(message)
                yield letter

    def drop(self, wanted: Collection[str]) -> Generator[Letter, None, None]:
        """Delete messages by their ids, each told when it is done."""
        with closing(self._held(wanted)) as messages:
            for message in messages:
                self._delete(message)
                yield letter_of(self.name, message)

    def _held(self, wanted: Collection[str] | None = None) -> Generator[Any, None, None]:
        """Receive all messages, or those wanted, each once; in the end what is left is put back.

        A queue may show a message twice; and what comes while we look is not waited for.
        """
        left = None if wanted is None else {*wanted}
        seen: set[str] = set()
        held: dict[str, str] = {}
        try:
            while left is None or left:
                messages = self._receive()
                held |= {each["MessageId"]: each["ReceiptHandle"] for each in messages}
                fresh = [each for each in messages if each["MessageId"] not in seen]
                if not fresh:
                    return
                seen |= {each["MessageId"] for each in fresh}
                for message in fresh:
                    if left is None:
                        yield message
                    elif message["MessageId"] in left:
                        left.discard(message["MessageId"])
                        yield message
                        del held[message["MessageId"]]
        finally:
            self._put_back(held)

    def _receive(self) -> list[Any]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=HELD,
            WaitTimeSeconds=WAIT,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return list(answer.get("Messages", []))

    def _delete(self, message: Any) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def _put_back(self, held: dict[str, str]) -> None:
        """Let everybody see messages again; where that fails, time does it."""
        for handle in held.values():
            with suppress(self.sqs.exceptions.ClientError):
                self.sqs.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=0
                )


def mailboxes(stack: Stack, names: Collection[str]) -> list[Mailbox]:
    """Return the dead-letter queues of a stack, or those named; CommandError if there is none."""
    if unknown := sorted({*names} - {*NAMES}):
        cause = f"there is no queue {', '.join(unknown)}"
        raise CommandError(Code.USAGE, cause, f"there are {', '.join(NAMES)}")
    there = [name for name in NAMES if f"{name.title()}DeadLettersUrl" in stack.outputs]
    if "relay" in {*names} - {*there}:
        cause = f"the stack {stack.name!r} has no relay"
        raise CommandError(Code.NOT_FOUND, cause, "it has one where EventBus names a bus")
    return [
        Mailbox(
            name,
            stack.client("sqs"),
            stack.output(f"{name.title()}DeadLettersUrl"),
            stack.output(f"{name.title()}QueueUrl"),
        )
        for name in dict.fromkeys(names) or there
    ]
