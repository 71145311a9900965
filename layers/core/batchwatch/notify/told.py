"""Which event has been told on which channel: a repeated one is not told again.

One item an event, by its id: `channels` it was told on, `owner` and `until` (seconds since 1970)
of whoever is about to tell it, `expires` when DynamoDB may forget it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

REMEMBERED = 30 * 24 * 3600
"""Seconds: twice what a queue keeps, as a message may have been among the dead letters."""
_AT_ONCE = 16
_TURN = "#mail"
_TURNS = 16
"""So often a mail waits for its turn."""


class Told:
    """The table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def claim(
        self, events: Iterable[str], *, owner: str, now: float, until: float
    ) -> dict[str, frozenset[str] | None]:
        """Take events for oneself until then, and say on which channels each was told before.

        None: another invocation is about to tell it.
        """
        values = {
            ":owner": {"S": owner},
            ":now": {"N": str(now)},
            ":until": {"N": str(until)},
            ":expires": {"N": str(int(now + REMEMBERED))},
        }

        def one(event: str) -> frozenset[str] | None:
            item = self._update(
                event,
                "SET #until = :until, #owner = :owner, expires = :expires",
                "attribute_not_exists(#until) OR #until < :now OR #owner = :owner",
                {"#until": "until", "#owner": "owner"},
                values,
            )
            return None if item is None else frozenset(item.get("channels", {}).get("SS", []))

        return _each(one, events)

    def note(self, events: Mapping[str, set[str]]) -> None:
        """Note the channels on which each event has been told now, and let go of it."""

        def one(event: str) -> None:
            channels = sorted(events[event])
            values: dict[str, Any] = {":over": {"N": "0"}}
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"event": {"S": event}},
                UpdateExpression="SET #until = :over" + (" ADD channels :now" if channels else ""),
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues=values | ({":now": {"SS": channels}} if channels else {}),
            )

        _each(one, events)

    def wait_for_turn(
        self, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> bool:
        """Let `seconds` lie between two mails, whoever sends them; False if too many want to."""
        for _ in range(_TURNS):
            now = clock()
            item = self._update(
                _TURN,
                "SET #until = :until",
                "attribute_not_exists(#until) OR #until <= :now",
                {"#until": "until"},
                {":now": {"N": str(now)}, ":until": {"N": str(now + seconds)}},
            )
            if item is not None:
                return True
            sleep(seconds)
        return False

    def _update(
        self, event: str, change: str, condition: str, names: dict[str, str], values: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Change an item and return it as it is then; None if the condition does not hold."""
        try:
            return self._dynamodb.update_item(
                TableName=self._table,
                Key={"event": {"S": event}},
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )["Attributes"]
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None


def _each(do: Callable[[str], Any], events: Iterable[str]) -> dict[str, Any]:
    """Do it for each event, several at a time: a thousand are done in seconds."""
    names = [*events]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(names, pool.map(do, names), strict=True))
