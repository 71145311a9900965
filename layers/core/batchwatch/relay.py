"""From the topic to a bus of EventBridge: each event as it was published, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from batchwatch.errors import BadMessageError, BusError
from batchwatch.job_events import read_event
from batchwatch.report import Problem, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from batchwatch.job_events import Event
    from batchwatch.orders import DeadLetters

SOURCE = "batchwatch"
"""What rules ask for. The stack is in the `source` of the event itself."""
MOST = 10
"""Entries that EventBridge takes in a request."""
LARGEST = 256_000
"""Bytes that they may have together. One alone is smaller: it has been through SNS."""
_UNREADABLE = "MalformedDetail"  # JSON to us, but not to EventBridge: numbers of more than 64 bits


class Letter(NamedTuple):
    """A message of the queue, the event in it, and what is put on the bus."""

    message: dict[str, Any]
    event: Event
    entry: PutEventsRequestEntryTypeDef

    @property
    def size(self) -> int:
        """Bytes, as EventBridge counts them: 14 for the time."""
        texts = (self.entry["Source"], self.entry["DetailType"], self.entry["Detail"])
        return 14 + sum(len(text.encode()) for text in texts)


class Failed(NamedTuple):
    """A message that is not on the bus, and why."""

    message: dict[str, Any]
    problem: Problem


class Relayed(NamedTuple):
    """What was done: how many messages are on the bus, and the ids of those to come again."""

    relayed: int
    again: list[str]
    report: Report


class Relay(NamedTuple):
    """Puts on the bus what the queue holds."""

    events: EventBridgeClient
    bus: str
    dead_letters: DeadLetters

    def pass_on(self, messages: Sequence[dict[str, Any]]) -> Relayed:
        """Send messages, as Lambda gives them; one that no try can help becomes a dead letter."""
        letters, failed = self._read(messages)
        for request in requests(letters):
            failed += self._send(request)
        again, report = [], Report()
        for message, problem in failed:
            report.problems.append(problem)
            if not self._set_aside(message, problem, report):
                again.append(message["messageId"])
        return Relayed(len(messages) - len(failed), again, report)

    def _read(self, messages: Iterable[dict[str, Any]]) -> tuple[list[Letter], list[Failed]]:
        letters, failed = [], []
        for message in messages:
            try:
                event = read_event(message["body"])
            except ValidationError as error:
                no_event = BadMessageError(f"not an event: {type(error).__name__}")
                failed.append(Failed(message, Problem(no_event)))
            else:
                letters.append(Letter(message, event, self._entry(event, message["body"])))
        return letters, failed

    def _entry(self, event: Event, frozen: str) -> PutEventsRequestEntryTypeDef:
        # No `Resources`: they are to be ARNs, and neither batches nor jobs have one.
        return {
            "EventBusName": self.bus,
            "Source": SOURCE,
            "DetailType": event.type,
            "Time": event.time,
            "Detail": frozen,
        }

    def _send(self, letters: list[Letter]) -> Iterator[Failed]:
        """Send one request; each entry has an answer of its own, also where the status is 200."""
        try:
            answer = self.events.put_events(Entries=[letter.entry for letter in letters])
        except (BotoCoreError, ClientError) as error:
            codes = [_code(error)] * len(letters)
        else:
            codes = [entry.get("ErrorCode", "") for entry in answer["Entries"]]
        for letter, code in zip(letters, codes, strict=True):
            if code:
                kind = BadMessageError if code == _UNREADABLE else BusError
                why = kind(f"EventBridge did not take {letter.event.type}: {code}")
                problem = Problem(why, letter.event.data.account, letter.event.subject)
                yield Failed(letter.message, problem)

    def _set_aside(self, message: dict[str, Any], problem: Problem, report: Report) -> bool:
        if not isinstance(problem.error, BadMessageError):
            return False
        try:
            self.dead_letters.take(message)
        except (BotoCoreError, ClientError) as error:  # it comes again, and the others do not
            report.problems.append(Problem(error))
            return False
        return True


def requests(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Divide letters into as many as EventBridge takes at once."""
    request: list[Letter] = []
    for letter in letters:
        together = sum(other.size for other in request) + letter.size
        if request and (len(request) == MOST or together > LARGEST):
            yield request
            request = []
        request.append(letter)
    if request:
        yield request


def _code(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return type(error).__name__
