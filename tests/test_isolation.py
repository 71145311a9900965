"""One bad event, one slow answer, too little time: the others go on, and nothing is forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import batchwatch.account_poll
from batchwatch.items import Row
from batchwatch.record import Record
from batchwatch.transfer import Shift
from batchwatch.turns import in_turn
from local.simulator import Script
from tests.builders import modest
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.world import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handlers import Handlers
    from tests.world import World

SCRIPT = Script(name="b", endpoint="/v1/embeddings", requests=9, ends="completed")


def refuse_to_publish(
    world: World, code: str, when: Callable[[str], bool], words: str = ""
) -> None:
    """Let SNS refuse some messages."""

    def answer(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        if not when(json.dumps(params["body"])):
            return None
        refused = type("Answer", (), {"status_code": 400, "headers": {}, "content": b""})()
        error = {"Code": code, "Message": words}
        return refused, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    world.runtime.sns.meta.events.register_first("before-call.sns.Publish", answer)  # type: ignore[arg-type]


def play(world: World, *batches: str) -> list[str]:
    """Poll and archive until all is done; return every message."""
    messages = []
    for _ in range(20):
        world.poll(after=15)
        world.archive()
        messages += world.messages()
    assert faults(collect(world, messages, batches)) == []
    return messages


@pytest.mark.parametrize("code", ["InvalidParameter", "ParameterValueInvalid"])
def test_an_event_that_sns_refuses_is_told_without_what_openai_said(
    world: World, code: str
) -> None:
    bad, good = world.batch(SCRIPT), world.batch(SCRIPT)
    refuse_to_publish(world, code, lambda body: bad in body and "endpoint" in body)

    messages = [json.loads(message) for message in play(world, bad, good)]

    told = [m["data"] for m in messages if m["subject"] == bad]
    assert all(data["reduced"] for data in told)
    assert told[-1]["batch"] == {"id": bad, "status": "completed"}
    assert told[-1]["files"]["output"]["state"] == "archived"
    assert not any("reduced" in m["data"] for m in messages if m["subject"] == good)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AuthorizationError", ""),
        ("KMSThrottling", ""),
        ("NotFound", ""),
        ("InvalidParameter", "Invalid parameter: TopicArn"),
    ],
)
def test_an_event_that_may_yet_be_taken_is_repeated_as_it_is(
    world: World, code: str, words: str
) -> None:
    batch_id, left = world.batch(SCRIPT), [5]

    def count(_: str) -> bool:
        left[0] -= 1
        return left[0] >= 0

    refuse_to_publish(world, code, count, words)

    messages = play(world, batch_id)

    assert not any("reduced" in message for message in messages)


def test_a_topic_that_takes_nothing_of_one_batch_holds_up_no_other(world: World) -> None:
    bad, good = world.batch(SCRIPT), world.batch(SCRIPT)
    refuse_to_publish(world, "InvalidParameter", lambda body: bad in body)
    for _ in range(20):
        report = world.poll(after=15)
        world.archive()

    assert [problem.batch_id for problem in report.problems] == [bad]
    assert world.record(bad).outbox
    assert not world.record(good).open


def test_a_poll_stops_in_time_and_the_next_ones_come_by_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batchwatch.account_poll, "AT_ONCE", 1)
    batches = [world.batch(SCRIPT) for _ in range(30)]

    def slow(**_: Any) -> None:
        world.clock.now += 1  # every read of an item: the account's, and of every batch with news

    world.runtime.dynamodb.meta.events.register("before-call.dynamodb.GetItem", slow)
    world.clock.now += 60

    left = []
    for _ in range(12):
        report = world.runtime.poller.poll(world.clock.now + 7)
        left.append(report.left)
        world.clock.now += 60
    assert left[0] == 30 - 5
    assert left[-1] == 0
    assert {event.subject for event in world.events()} == set(batches)


def test_an_answer_that_does_not_come_keeps_no_poll_from_its_end(world: World) -> None:
    silent, others = world.batch(SCRIPT), [world.batch(SCRIPT) for _ in range(9)]
    world.openai.listing.hidden.add(silent)
    world.openai.fault(f"GET /v1/batches/{silent}", delay=60)
    world.clock.now += 60

    poller = world.runtime.poller
    openai = world.runtime.openai(world.runtime.accounts.get(ACCOUNT))
    report = poller.account_poll.run(ACCOUNT, openai, world.clock.now + 3)

    assert report.left == 1
    assert {event.subject for event in world.events()} == set(others)


@pytest.mark.full
def test_a_poll_ends_before_lambda_would_end_it_and_tells_what_it_left(
    world: World, invoke: Handlers
) -> None:
    silent = world.batch(SCRIPT)
    world.openai.listing.hidden.add(silent)
    world.openai.fault(f"GET /v1/batches/{silent}", delay=60)

    told = invoke("poller", seconds=10)

    assert told.result["left"] == 1


@pytest.mark.parametrize(("seconds", "left_over"), [(900, 60), (10, 2)])
def test_a_copy_stops_before_its_invocation_ends(seconds: float, left_over: float) -> None:
    shift = Shift.of("worker", 1000, seconds)

    assert shift.until == 1000 + seconds
    assert shift.until - shift.stop_at == left_over


@modest
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 10**6))
def test_short_polls_come_by_every_batch_within_three_times_as_many_as_must_be(
    number: int, capacity: int, tick: int
) -> None:
    rows = [Row(Record(account="a", batch_id=str(n))) for n in range(number)]
    capacity = max(capacity, -(-number // 60))
    seen: set[str] = set()

    for later in range(3 * -(-number // capacity)):
        turn = in_turn(rows, (tick + later) * 60)
        assert len(turn) == number
        seen |= {row.known.batch_id for row in turn[:capacity]}

    assert len(seen) == number
