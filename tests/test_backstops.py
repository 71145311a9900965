"""What catches a batch that fell out of the ordinary way: index, outbox, orders, dead letters."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.batch import Role
from batchwatch.ledger import Ledger
from batchwatch.record import FileState
from batchwatch.sweep import SEGMENTS
from local.simulator import Script
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.world import World

HOUR = 3600


def script(**changes: Any) -> Script:
    plain = {"name": "b", "endpoint": "/v1/embeddings", "requests": 9, "ends": "completed"}
    return Script(**{**plain, **changes})


def take_from_index(world: World, batch_id: str) -> None:
    """As no writer of ours ever does."""
    world.runtime.dynamodb.update_item(
        TableName="ledger",
        Key={"account": {"S": ACCOUNT}, "batch_id": {"S": batch_id}},
        UpdateExpression="REMOVE #open",
        ExpressionAttributeNames={"#open": "open"},
    )


def a_day(world: World) -> list[dict[str, int]]:
    """Poll every hour for a day; return what had to be repaired."""
    return [dict(world.poll(after=HOUR).repairs) for _ in range(SEGMENTS)]


def finish(world: World, *batches: str) -> list[str]:
    """Let everything come to its end; return what a stranger would complain about."""
    messages = world.messages()
    for _ in range(10):
        world.poll(after=HOUR)
        world.archive()
        messages += world.messages()
    return faults(collect(world, messages, batches))


@pytest.mark.parametrize(
    "seen_at", [3, *(pytest.param(at, marks=pytest.mark.full) for at in (1, 60))]
)
def test_a_batch_missing_from_the_index_is_back_within_a_day(world: World, seen_at: int) -> None:
    batch_id = world.batch(script())
    world.poll(after=seen_at)
    take_from_index(world, batch_id)

    repaired = a_day(world)

    assert sum(each.get("Index", 0) for each in repaired) == 1
    assert finish(world, batch_id) == []


def test_a_batch_that_is_done_or_was_never_seen_is_left_out_of_the_index(world: World) -> None:
    done, never = world.batch(script()), "batch_of_nobody"
    world.runtime.ledger.register(ACCOUNT, never)
    take_from_index(world, never)
    world.poll(after=60)
    world.archive()
    assert not world.record(done).open

    assert not any(a_day(world))

    assert not world.record(done).open
    assert not world.record(never).open


def test_a_part_of_the_table_is_looked_through_once_an_hour(world: World) -> None:
    for minute in range(180):
        world.poll(after=60 if minute else 0)

    assert world.calls.count("dynamodb.Scan") in {3, 4}


def test_a_row_that_cannot_be_read_does_not_keep_the_sweep_from_others(world: World) -> None:
    lost = world.batch(script())
    world.poll(after=60)
    take_from_index(world, lost)
    world.runtime.dynamodb.put_item(
        TableName="ledger",
        Item={"account": {"S": ACCOUNT}, "batch_id": {"S": "batch_broken"}, "v": {"S": "many"}},
    )

    a_day(world)

    assert world.record(lost).open


def unpolled(world: World, hours: int = SEGMENTS) -> dict[str, int]:
    """Poll every hour; return the accounts told to have batches that nobody polls, and how many."""
    told: Counter[str] = Counter()
    for _ in range(hours):
        for problem in world.poll(after=HOUR).problems:
            if "open batches have it" in str(problem.error):
                assert problem.whole
                told[problem.account or ""] += int(str(problem.error).split("but ")[1].split()[0])
    return dict(told)


def put_accounts(world: World, *names: str, **others: Any) -> None:
    """Let the secret, as a new process reads it, name these accounts."""
    key = {"api_key": KEY, "base_url": world.openai.base_url}
    world.put_secret(json.dumps({"accounts": dict.fromkeys(names, key) | others}))
    world.restart()


def test_open_batches_of_an_account_that_the_secret_does_not_have_are_told_within_a_day(
    world: World,
) -> None:
    world.runtime.ledger.register("leftover", "batch_1")
    world.runtime.ledger.register("leftover", "batch_2")
    world.runtime.ledger.register("mistyped", "batch_1")
    done = world.batch(script())
    world.poll(after=60)
    world.archive()
    assert not world.record(done).open  # of those that are done, nobody need know

    assert unpolled(world) == {"leftover": 2, "mistyped": 1}
    put_accounts(world, "leftover")
    assert unpolled(world) == {"mistyped": 1}
    put_accounts(world)  # none at all, which is readable too
    assert unpolled(world) == {"leftover": 2, "mistyped": 1}


def test_batches_that_nobody_polls_are_told_no_more_once_they_are_gone(world: World) -> None:
    world.runtime.ledger.register("leftover", "batch_1")
    assert unpolled(world) == {"leftover": 1}

    key = {"account": {"S": "leftover"}, "batch_id": {"S": "batch_1"}}
    world.runtime.dynamodb.delete_item(TableName="ledger", Key=key)

    assert unpolled(world) == {}


def test_an_account_is_not_told_as_missing_while_the_secret_cannot_be_read_in_full(
    world: World,
) -> None:
    world.runtime.ledger.register("leftover", "batch_1")
    world.batch(script(running=10**9))
    world.put_secret("sk-pasted-as-it-is")
    assert unpolled(world) == {}

    put_accounts(world, ACCOUNT, leftover={"api_key": 7})
    assert unpolled(world) == {}


def test_a_batch_that_nobody_polls_is_put_back_into_the_index_and_told(world: World) -> None:
    batch_id = world.batch(script())
    world.poll(after=1)
    take_from_index(world, batch_id)
    put_accounts(world, "another")

    assert unpolled(world) == {ACCOUNT: 1}

    assert world.record(batch_id).open


def test_an_event_that_a_dying_poll_left_is_told_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiedError(Exception):
        pass

    def die(*_: Any) -> None:
        raise DiedError

    batch_id = world.batch(script())
    with monkeypatch.context() as dying:
        dying.setattr(type(world.runtime.outbox.publisher), "publish", die)
        world.poll(after=60)
    assert world.messages() == []

    assert dict(world.poll().repairs) == {"Outbox": 1}

    assert [e.type for e in world.events(batch_id)] == ["batch.completed"]


def test_an_order_that_was_lost_is_given_again(world: World) -> None:
    batch_id = world.batch(script())
    world.poll(after=60)
    world.drop_orders()

    assert dict(world.poll(after=HOUR).repairs) == {"Order": 1}

    world.archive()
    assert not world.record(batch_id).open


def test_how_long_files_have_been_waiting_is_told(world: World) -> None:
    world.batch(script())
    assert world.poll(after=60).oldest_pending == 0

    world.poll(after=500)
    assert world.poll(after=500).oldest_pending == 1000
    assert world.poll(after=60).oldest_pending == 1060
    world.archive()
    assert world.poll(after=900).oldest_pending == 0


def test_dead_letters_that_are_sent_back_are_archived(world: World) -> None:
    """What `start-message-move-task` does; no emulator knows it."""
    batch_id = world.batch(script())
    world.poll(after=60)
    (order,) = world.drop_orders()
    world.runtime.orders.set_aside({"body": json.dumps(order)})
    sqs, queues = world.runtime.sqs, world.environment

    (dead,) = sqs.receive_message(QueueUrl=queues["BATCHWATCH_ARCHIVE_DEAD_LETTERS"])["Messages"]
    sqs.send_message(QueueUrl=queues["BATCHWATCH_ARCHIVE_QUEUE"], MessageBody=dead["Body"])
    sqs.delete_message(
        QueueUrl=queues["BATCHWATCH_ARCHIVE_DEAD_LETTERS"], ReceiptHandle=dead["ReceiptHandle"]
    )
    world.archive()

    assert finish(world, batch_id) == []


def test_a_file_whose_end_is_noted_by_nobody_is_ended_by_the_next_order(world: World) -> None:
    """The object was made visible, and the worker died before it could say so."""
    batch_id = world.batch(script())
    world.poll(after=60)
    write = Ledger.write
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(Ledger, "write", lambda *_: 1 / 0)
        world.archive()
    assert Ledger.write is write
    assert world.record(batch_id).files[Role.OUTPUT].state is FileState.COPYING

    world.clock.now += HOUR
    world.archive()

    assert finish(world, batch_id) == []
