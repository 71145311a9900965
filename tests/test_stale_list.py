"""Lists that are wrong, lag or are not there; batches that vanish; batches that stand still."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from batchwatch.discovery import DAY
from batchwatch.ending import HOUR
from batchwatch.watermarks import Watermarks
from local.simulator import Script
from tests.judge.checker import faults
from tests.judge.collect import collect
from tests.test_discovery import MINUTE, asked
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.world import World

SCRIPT = Script(
    name="b", endpoint="/v1/embeddings", requests=9, ends="completed", running=150, finalizing=60
)
LONG = replace(SCRIPT, validating=0, running=60 * DAY)
NUMBER = 6
POLLS = 4
"""Enough of them, a minute apart, for each batch to end."""


def distrusted(world: World) -> bool:
    mark = Watermarks(world.runtime.dynamodb, "ledger").get(ACCOUNT)
    return mark.stale_until > world.clock.now


def types(world: World, batch_id: str) -> list[str]:
    return [event.type.removeprefix("batch.") for event in world.events(batch_id)]


def advances_when_asked(world: World, _: list[str]) -> None:
    world.openai.listing.moves_when_asked = True


def is_frozen(world: World, _: list[str]) -> None:
    first: dict[str, Any] = {}
    world.openai.listing.edit_row = lambda row: first.setdefault(row["id"], row)


def repeats_its_cursor(world: World, _: list[str]) -> None:
    world.openai.listing.cursor_repeats = True


def is_odd(world: World, batches: list[str]) -> None:
    """A row of garbage, one hidden, one shown twice, and an empty page."""
    listing = world.openai.listing
    garbage: list[object] = ["nonsense", {"id": 7}]
    listing.edit_row = lambda row: garbage[0] if row["id"] == batches[1] else row
    listing.hidden.add(batches[2])
    listing.empty_page_at = 1
    listing.repeats_rows = True


def answers(status: int) -> Any:
    def trouble(world: World, _: list[str]) -> None:
        world.openai.fault(r"GET /v1/batches\?", status=status, times=-1)

    return trouble


class Case(NamedTuple):
    """A list, what is told of it in each poll, and the most requests of one."""

    trouble: Any
    told: str | None = None
    most: int = NUMBER + 2


CASES = {
    "advances when asked": Case(advances_when_asked),
    "is frozen": Case(is_frozen),
    "repeats its cursor": Case(repeats_its_cursor, most=NUMBER + 3),
    "is odd": Case(is_odd, "1 rows of the list are no batches", most=5),
    "is not there": Case(answers(404)),
    "fails": Case(answers(500), "500", most=NUMBER + 3),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.full] * (i % 6 > 0)) for i, n in enumerate(CASES)]
)
def test_every_batch_reaches_its_end_though_the_list(world: World, name: str) -> None:
    case = CASES[name]
    batches = [world.batch(SCRIPT) for _ in range(NUMBER)]
    case.trouble(world, batches)
    messages: list[str] = []
    for _ in range(POLLS):
        world.openai.requests.clear()
        report = world.poll(after=MINUTE)

        assert sum(asked(world)) <= case.most
        told = [str(problem.error) for problem in report.problems]
        assert len(told) == (case.told is not None)
        assert case.told is None or case.told in told[0]
        messages += world.messages()
    for _ in range(4):
        world.poll(after=MINUTE)
        world.archive()
    messages += world.messages()
    assert faults(collect(world, messages, batches)) == []


def test_a_list_that_lags_is_not_believed_for_a_day_and_then_again(world: World) -> None:
    batches = [world.batch(LONG) for _ in range(NUMBER)]
    script = replace(LONG, running=90 * MINUTE, finalizing=60 * DAY)
    moving = world.batch(script)
    world.openai.listing.lags = HOUR
    world.poll(after=2 * HOUR)
    polls = 1
    while not distrusted(world) and polls < NUMBER + 3:
        world.poll(after=MINUTE)
        polls += 1
    assert distrusted(world)
    world.openai.listing.lags = 0
    asked(world)

    world.poll(after=MINUTE)
    assert asked(world) == (1, len(batches) + 1)
    world.restart()
    world.poll(after=DAY - 2 * MINUTE)
    assert asked(world) == (1, len(batches) + 1)
    world.poll(after=2 * MINUTE)
    assert asked(world) == (1, 1)
    assert not distrusted(world)
    assert world.record(moving).last_status == "finalizing"


def test_a_batch_that_moved_just_now_makes_no_list_distrusted(world: World) -> None:
    batch_id = world.batch(replace(SCRIPT, requests=1, validating=0, running=HOUR - 10))
    world.poll()
    world.openai.listing.lags = 30
    world.poll(after=HOUR)

    assert types(world, batch_id) == ["in_progress", "finalizing"]
    assert not distrusted(world)


# Batches that vanish


def vanish(world: World, *batches: str) -> None:
    """Let neither list nor retrieve know them."""
    world.openai.listing.hidden.update(batches)
    for batch_id in batches:
        world.openai.fault(f"GET /v1/batches/{batch_id}", status=404, times=-1)


def reappear(world: World) -> None:
    world.openai.listing.hidden.clear()
    world.openai.faults.clear()


def test_a_batch_that_vanishes_is_lost_once_asked_for_rarely_and_found_again(
    world: World,
) -> None:
    script = replace(LONG, running=3 * HOUR, finalizing=HOUR)
    lost = [world.batch(script) for _ in range(4)]
    there = world.batch(LONG)
    world.poll()
    vanish(world, *lost)
    for minutes in range(5):
        assert [e.type for e in world.events() if e.subject in lost] == ["batch.in_progress"] * (
            4 * (minutes == 0)
        )
        report = world.poll(after=15 * MINUTE + 1)
        assert {problem.batch_id for problem in report.problems} == set(lost)
    assert sorted(e.subject for e in world.events() if e.type == "batch.lost") == sorted(lost)
    asked(world)
    for _ in range(6):
        assert world.poll(after=10 * MINUTE).problems == []
    # each of the four once, and a try of the list each time
    assert asked(world) == (6, 10)
    assert world.events() == []
    assert all(world.record(batch_id).open for batch_id in lost)
    reappear(world)

    world.poll(after=HOUR)
    events = [json.loads(message) for message in world.messages()]

    assert sorted(e["subject"] for e in events) == sorted(lost)
    assert {(e["type"], e["data"]["sequence"], e["data"]["previous_status"]) for e in events} == {
        ("batch.finalizing", 3, "in_progress")
    }
    assert world.record(there).open
    world.poll(after=HOUR)
    assert {types(world, batch_id)[0] for batch_id in lost[:1]} == {"completed"}


def test_a_wrong_id_is_lost_once_and_leaves_the_index_after_thirty_days(world: World) -> None:
    world.batch(LONG)
    world.runtime.ledger.register(ACCOUNT, "batch_wrong")
    for _ in range(6):
        world.poll(after=20 * MINUTE)
    world.poll(after=29.8 * DAY)
    assert world.record("batch_wrong").open
    world.poll(after=DAY)
    world.poll(after=DAY)

    assert types(world, "batch_wrong") == ["lost"]
    assert not world.record("batch_wrong").open
    assert world.record("batch_wrong").abandoned


def test_nothing_is_lost_while_the_list_is_refused_too(world: World) -> None:
    batch_id = world.batch(LONG)
    world.poll()
    wrong = {"api_key": KEY, "base_url": world.openai.base_url + "/wrong"}
    right = wrong | {"base_url": world.openai.base_url}
    world.put_secret(json.dumps({"accounts": {ACCOUNT: wrong}}))
    world.clock.now += HOUR
    world.restart()
    for _ in range(10):
        report = world.poll(after=HOUR)
    assert any(problem.whole for problem in report.problems)
    world.put_secret(json.dumps({"accounts": {ACCOUNT: right}}))
    world.restart()
    world.poll()

    told = types(world, batch_id)
    assert told[0] == "in_progress"
    assert "lost" not in told
    assert world.record(batch_id).misses == 0


# Batches that stand still


def test_a_batch_that_stands_still_is_told_of_once_in_each_status_and_no_other(
    world: World,
) -> None:
    script = replace(SCRIPT, validating=5 * HOUR, running=30 * MINUTE, finalizing=9 * HOUR)
    batch_id = world.batch(script)
    usual = replace(SCRIPT, requests=2000, validating=60, running=12 * HOUR, finalizing=HOUR)
    moving = world.batch(usual)
    for _ in range(30):
        world.poll(after=30 * MINUTE)
        world.archive()

    told: dict[str, list[str]] = {batch_id: [], moving: []}
    for event in world.events():
        told[event.subject].append(event.type.removeprefix("batch."))
    assert told[moving] == ["in_progress", "finalizing", "completed", "archived"]
    assert told[batch_id] == [
        "validating",
        "stalled",
        "in_progress",
        "finalizing",
        "stalled",
        "completed",
        "archived",
    ]
