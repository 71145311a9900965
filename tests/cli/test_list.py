"""`batchwatch list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchwatch.items import spelled, to_dynamodb
from batchwatch.record import Change, Record
from local.simulator import Script
from tests.builders import batch as said
from tests.builders import read
from tests.command_line import batchwatch
from tests.world import client

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("stack")
BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


def put(count: int, first: int = 0, *, account: str = "default", still_open: int = 0) -> list[str]:
    """Write batches as the service leaves them; the later ones are the newer ones."""
    ids = [f"batch_{number:032x}" for number in range(first, first + count)]
    for number, batch_id in enumerate(ids, first):
        status = "in_progress" if number < first + still_open else "completed"
        batch = read(status, id=batch_id, created_at=1_700_000_000 + number)
        change = Change(batch=batch, status=batch.status)
        spelling = spelled(Record(account=account, batch_id=batch_id), change)
        item = {name[1:]: value for name, value in spelling.values.items()}
        if status == "completed":
            del item["open"]
        key = {"account": to_dynamodb(account), "batch_id": to_dynamodb(batch_id)}
        client("dynamodb").put_item(TableName="ledger", Item={**item, **key})
    return ids


def asked(*arguments: str) -> list[str]:
    """Return which operations of DynamoDB a command needs."""
    calls: list[str] = []
    events = client("dynamodb").meta.events  # noqa: F841 - a client, so that the session is there

    def note(model: object, **_: object) -> None:
        calls.append(model.name)  # type: ignore[attr-defined]

    from boto3 import _get_default_session  # noqa: PLC0415 - the one that all tests share

    _get_default_session().events.register("before-call.dynamodb", note)
    try:
        assert batchwatch(*arguments).code == 0
    finally:
        _get_default_session().events.unregister("before-call.dynamodb", note)
    return calls
